//! An image that is here for single steps only: what was just built is pulled to be tested, and every run
//! brings another. It goes with the last step that uses it; bases and tools stay.

use super::client::Engine;
use super::state::EngineError;
use bollard::query_parameters::TagImageOptionsBuilder;
use contract::image::ImageRef;

impl Engine {
    /// Said before the image is pulled; waits while it is being taken away.
    pub async fn borrow(&self, image: &ImageRef) {
        let mut borrowed = self.borrowed().lock().await;
        *borrowed.entry(image.clone()).or_default() += 1;
    }

    /// Gives a borrowed image that is here a name of ours, by which the next process finds it when this one
    /// is killed.
    pub async fn mark(&self, image: &ImageRef, tag: &str) -> Result<(), EngineError> {
        let repository = self.built_repository();
        let options = TagImageOptionsBuilder::default()
            .repo(&repository)
            .tag(tag)
            .build();
        self.docker()
            .tag_image(&image.to_string(), Some(options))
            .await
            .map_err(|source| EngineError::call("name a pulled image", source))
    }

    /// Removes the image, unless another step has borrowed it as well.
    pub async fn give_back(&self, image: &ImageRef) -> Result<(), EngineError> {
        // Kept until it is removed, so that whoever borrows it in between sees that it is not there.
        let mut borrowed = self.borrowed().lock().await;
        if let Some(steps) = borrowed.get_mut(image).filter(|steps| **steps > 1) {
            *steps -= 1;
            return Ok(());
        }
        borrowed.remove(image);
        self.forget(&image.to_string()).await
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::stand_in::StandIn;
    use contract::digest::Digest;
    use contract::image::{ImageRef, Repository};

    fn image() -> ImageRef {
        ImageRef {
            repository: Repository::parse("registry.example/quarantine/web").unwrap(),
            digest: Digest::of(b"web"),
        }
    }

    #[tokio::test]
    async fn a_borrowed_image_goes_with_the_last_step_that_uses_it() {
        let (engine, stand_in) = StandIn::of("instance-1", "worker-1", |asked| match asked {
            asked if asked.starts_with("GET /images/") => (200, r#"{"Id":"sha256:1"}"#),
            _ => (200, "[]"),
        })
        .await;
        engine.borrow(&image()).await;
        engine.mark(&image(), "step-1").await.unwrap();
        engine.borrow(&image()).await;
        engine.give_back(&image()).await.unwrap();
        let removed = || {
            let asked = stand_in.asked();
            asked.iter().filter(|a| a.starts_with("DELETE")).count()
        };
        assert_eq!(removed(), 0, "another step uses it");
        engine.give_back(&image()).await.unwrap();
        assert_eq!(removed(), 1);
        assert!(
            stand_in
                .asked()
                .contains(&"DELETE /images/sha256:1?force=true&noprune=true".to_owned()),
            "{:?}",
            stand_in.asked()
        );
    }

    #[tokio::test]
    async fn an_image_that_a_container_still_uses_stays_and_is_no_error() {
        let (engine, _stand_in) = StandIn::of("instance-1", "worker-1", |asked| match asked {
            asked if asked.starts_with("DELETE") => (409, r#"{"message":"it is used"}"#),
            _ => (200, r#"{"Id":"sha256:1"}"#),
        })
        .await;
        engine.borrow(&image()).await;
        engine.give_back(&image()).await.unwrap();
    }
}
