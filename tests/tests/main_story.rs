//! The main story, undisturbed, on both databases: a signed push becomes an approved promotion.

use tests::database::Database;
use tests::house::{House, Ports};
use tests::ready_made::Image;
use tests::registry::Registry;
use tests::running::Running;
use tests::script::LeftAlone;
use tests::snapshot::snapshot;
use tests::story::Story;

#[tokio::test]
async fn a_push_becomes_an_approved_promotion_on_sqlite() {
    the_whole_way(Database::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs SALLYPORT_TEST_POSTGRES, which cargo ci sets"]
async fn a_push_becomes_an_approved_promotion_on_postgres() {
    the_whole_way(Database::postgres().await.unwrap()).await;
}

async fn the_whole_way(database: Database) {
    let house = House::furnish(database, Ports::free().unwrap())
        .await
        .unwrap();
    let registry = Registry::start(&house).unwrap();
    let running = Running::start(&house).await.unwrap();
    let script = running.script(&house).await.unwrap();
    let mut story = Story::new(&house, script).unwrap();
    let mut look = house.database.look(&house.server()).await.unwrap();
    story.play(&mut LeftAlone, &mut look).await.unwrap();
    running.stop().await;
    drop(look);

    let (holds, image) = (registry.holds().unwrap(), Image::ready_made().digest());
    for place in ["dev", "staging", "prod"] {
        for tag in ["run-1", "current"] {
            let tag = format!("{place}/shop/web:{tag}");
            assert_eq!(holds.tags.get(&tag), Some(&image), "{tag}");
        }
        let signatures = holds.signatures(&format!("{place}/shop/web"), &image);
        assert_eq!(signatures.unwrap(), 1, "{place}");
    }
    // The comparison of the crash sweep reads this schema, and knows each of its columns.
    let snapshot = snapshot(&house.database, &house.server()).await.unwrap();
    assert_eq!(snapshot["promotion"].len(), 3);
    assert_eq!(snapshot["attestation"].len(), 2);
    assert_eq!(snapshot["signature"].len(), 4);
    assert_eq!(snapshot["finding"].len(), 1);
    house.database.remove().await.unwrap();
}
