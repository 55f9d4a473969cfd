//! The repository is fetched in an encrypted and programless way, or from this host.

use crate::complaint::{Code, Complaints, quoted};
use crate::settings::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    let Some(git) = &file.git else {
        return;
    };
    let Err(label) = accepted(&git.value) else {
        return;
    };
    let message = if label == PASSWORD {
        // What is secret is not shown again.
        "the address of the repository holds a password".to_owned()
    } else {
        format!("{} is no place to fetch from", quoted(&git.value))
    };
    complaints
        .error(Code::BadSource, git.span, message, label)
        .help(
            "write https://…, ssh://…, git@host:path, file:///… or an absolute path of the server",
        );
}

const PASSWORD: &str = "credentials are given to the server, not written into settings";

fn accepted(url: &str) -> Result<(), &'static str> {
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) || url.starts_with('-') {
        return Err("a character that no address has");
    }
    if url.starts_with('/') {
        return if url.split('/').any(|part| part == "..") {
            Err("a path without `..`")
        } else {
            Ok(())
        };
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return scp_like(url);
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    if user.is_some_and(|user| user.contains(':') || scheme == "https") {
        return Err(PASSWORD);
    }
    match scheme {
        "file" if rest.starts_with('/') && !rest.split('/').any(|part| part == "..") => Ok(()),
        "file" => Err("file:// and an absolute path"),
        "https" | "ssh" if authority.is_empty() || authority.starts_with('-') => Err("no host"),
        "https" | "ssh" => Ok(()),
        "http" | "git" => Err("not encrypted: anybody between could change what is built"),
        _ => Err("this way of fetching is not accepted"),
    }
}

/// `git@host:path`, as ssh's own tools write it.
fn scp_like(url: &str) -> Result<(), &'static str> {
    let part = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    // `ext::sh -c …` runs a program: a second colon is never part of this form.
    match url
        .split_once(':')
        .map(|(host, path)| (host.split_once('@'), path))
    {
        Some((Some((user, host)), path))
            if part(user) && part(host) && !path.is_empty() && !path.starts_with([':', '-']) =>
        {
            Ok(())
        }
        _ => Err("not an address"),
    }
}

#[cfg(test)]
mod tests {
    use super::accepted;
    use crate::settings::rules::complaints_about;

    #[test]
    fn the_repository_is_fetched_in_a_safe_way() {
        for good in [
            "https://forge.example/a.git",
            "ssh://git@forge.example:22/a.git",
            "git@forge.example:acme/a.git",
            "file:///srv/git/a.git",
            "/srv/git/a.git",
        ] {
            assert_eq!(accepted(good), Ok(()), "{good}");
        }
        for bad in [
            "http://forge.example/a.git",
            "git://forge.example/a",
            "ext::sh -c whoami",
            "ext::sh",
            "fd::17",
            "--upload-pack=x",
            "ssh://-oProxyCommand=x/a",
            "git@-oProxyCommand=x:a",
            "a.git",
            "/srv/../etc",
            "https://",
        ] {
            assert!(accepted(bad).is_err(), "{bad}");
        }
        insta::assert_snapshot!(complaints_about(&[("source", "source: { git: \"http://forge.example/shop.git\" }")], ""), @r#"
        error[bad-source]: `http://forge.example/shop.git` is no place to fetch from
          --> settings.yml:3:16
           |
         3 | source: { git: "http://forge.example/shop.git" }
           |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not encrypted: anybody between could change what is built
           = help: write https://…, ssh://…, git@host:path, file:///… or an absolute path of the server
           = more: docs/language.md#bad-source
        "#);
    }

    #[test]
    fn a_password_in_the_address_is_refused() {
        assert!(accepted("https://me:secret@forge.example/a.git").is_err());
        assert!(accepted("https://token@forge.example/a.git").is_err());
    }
}
