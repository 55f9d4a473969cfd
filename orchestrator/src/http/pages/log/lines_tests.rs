use super::*;

fn read(place: &mut Place, bytes: &[u8], rest: Rest) -> Vec<String> {
    let mut all = Vec::new();
    place.walk(bytes, rest, |at, line| {
        all.push(match item(at, line) {
            Item::Section(title) => format!("= {title}"),
            Item::Line(line) => {
                let text: Vec<String> = line
                    .spans
                    .iter()
                    .map(|span| match span.class.as_str() {
                        "" => span.text.clone(),
                        class => format!("<{class}>{}", span.text),
                    })
                    .collect();
                format!("{} {}", line.number, text.join("|"))
            }
        });
        true
    });
    all
}

fn whole(bytes: &[u8]) -> Vec<String> {
    read(&mut Place::START.clone(), bytes, Rest::Give)
}

#[test]
fn lines_have_one_number_however_the_log_was_cut() {
    let log =
        "::section:: make\none\n\n\u{e4}\u{20ac}\n::section:: test\n\ntwo\n\n\nrest".as_bytes();
    let at_once = whole(log);
    let expected = [
        "= make",
        "1 one",
        "2 ",
        "3 \u{e4}\u{20ac}",
        "= test",
        "4 ",
        "5 two",
        "6 ",
        "7 ",
        "8 rest",
    ];
    assert_eq!(at_once, expected);
    for step in 1..log.len() {
        let (mut place, mut all) = (Place::START, Vec::new());
        for end in (step..log.len() + step).step_by(step) {
            let end = end.min(log.len());
            let rest = if end == log.len() {
                Rest::Give
            } else {
                Rest::Hold
            };
            let from = usize::try_from(place.offset).unwrap();
            all.extend(read(&mut place, &log[from..end], rest));
        }
        assert_eq!(all, at_once, "cut every {step} bytes");
        assert_eq!(usize::try_from(place.offset), Ok(log.len()));
    }
}

#[test]
fn a_line_without_its_end_is_held_and_then_given_whole() {
    let mut place = Place::START;
    assert_eq!(
        read(&mut place, "a\n\u{20ac}".as_bytes(), Rest::Hold),
        ["1 a"]
    );
    assert_eq!((place.offset, place.line), (2, 2));
    assert_eq!(
        read(&mut place, "\u{20ac}uro\n".as_bytes(), Rest::Hold),
        ["2 \u{20ac}uro"]
    );
}

#[test]
fn a_line_too_long_is_shown_in_part_and_counted_once() {
    let (mut place, part) = (Place::START, vec![b'x'; 2 * LINE_BYTES_MAX]);
    let shown = read(&mut place, &part, Rest::Give);
    assert_eq!(shown.len(), 1);
    assert!(
        shown[0].ends_with("is in the raw log"),
        "{}",
        &shown[0][..20]
    );
    assert!(shown[0].len() < LINE_BYTES_MAX + 100);
    assert!(place.inside);
    assert_eq!(read(&mut place, b"yy\nnext\n", Rest::Hold), ["2 next"]);
    assert_eq!(place.line, 3);
}

#[test]
fn looks_become_classes_and_nothing_else() {
    let log =
        b"\x1b[1;31mred\x1b[0m plain \x1b[38;5;2mgreen\x1b[39m \x1b[38;2;1;2;3mown\x1b[m\x1b[K\n\
                \x1b]8;;http://evil.example\x07link\x1b]8;;\x1b\\ \x1b[2Jx\r\n<b>&\x1b[3\n";
    assert_eq!(
        whole(log),
        [
            "1 <a1 a31>red| plain |<a32>green| |own",
            "2 link x",
            "3 <b>&\u{241b}[3"
        ]
    );
}

#[test]
fn what_would_change_the_page_is_shown_as_a_sign() {
    assert_eq!(
        whole("a\rb\u{7}\u{202E}c\u{9B}31md\n".as_bytes()),
        ["1 a\u{240d}b\u{2407}\u{FFFD}c\u{FFFD}31md"]
    );
    assert_eq!(whole(b"::section:: a\x1b[31m\n"), ["= a\u{241b}[31m"]);
    assert_eq!(plain(b"\x1b[31mno\x1b[0m such\n"), "no such");
}
