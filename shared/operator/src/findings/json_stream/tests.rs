use std::io::{self, Cursor, Write as _};
use std::sync::Mutex;

use super::*;

type ReadAs = (u64, Result<String, String>);
type Expected<'a> = (u64, Result<&'a str, &'a str>);

/// The values of a stream: the line, and the value or what is wrong.
fn read(reader: impl Read) -> Vec<ReadAs> {
    let as_text = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
    JsonStream::new(reader)
        .map(|(line, found)| (line, found.map(as_text)))
        .collect()
}

/// A stream that gives one byte at a time, as a slow pipe does.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut buffer[..1])
    }
}

/// Reads `text` given at once and in single bytes, which must be the same.
#[track_caller]
fn values(text: &str) -> Vec<ReadAs> {
    let at_once = read(text.as_bytes());
    let trickled = read(Trickle(Cursor::new(text.as_bytes().to_vec())));
    assert_eq!(at_once, trickled, "{text}");
    at_once
}

#[track_caller]
fn expect_values(text: &str, expected: &[(u64, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(line, value)| (*line, Ok((*value).to_owned())))
        .collect();
    assert_eq!(values(text), expected, "{text}");
}

/// Expects values where `Ok`, and where `Err` an error that contains the text.
#[track_caller]
fn expect(text: &str, expected: &[(u64, Result<&str, &str>)]) {
    let found = values(text);
    let same = |((line, found), (expected_line, expected)): (&ReadAs, &Expected)| {
        line == expected_line
            && match (found, expected) {
                (Ok(found), Ok(expected)) => found == expected,
                (Err(found), Err(expected)) => found.contains(expected),
                _ => false,
            }
    };
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(same),
        "{text}\nfound {found:#?}\nexpected {expected:#?}"
    );
}

#[test]
fn a_value_on_each_line() {
    expect_values(
        "{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}",
        &[(1, "{\"a\":1}"), (3, "{\"b\":2}"), (4, "{\"c\":3}")],
    );
    expect_values("", &[]);
    expect_values("\n \r\n", &[]);
}

#[test]
fn values_over_several_lines_mixed_with_others() {
    expect_values(
        "{\n  \"a\": {}\n}\n{\"b\": 1}\n{\"c\": 1}\n{\n\"d\": \"}\\\"{\"\n}{\"e\":1} {\"f\":1}\n",
        &[
            (1, "{\n  \"a\": {}\n}"),
            (4, "{\"b\": 1}"),
            (5, "{\"c\": 1}"),
            (6, "{\n\"d\": \"}\\\"{\"\n}"),
            (8, "{\"e\":1}"),
            (8, "{\"f\":1}"),
        ],
    );
}

#[test]
fn commas_at_the_beginning_of_lines() {
    expect_values(
        "{ \"a\": {}\n, \"b\": 1\n}\n",
        &[(1, "{ \"a\": {}\n, \"b\": 1\n}")],
    );
}

#[test]
fn lists_and_answers_of_get_findings() {
    expect_values(
        "[{\"a\":1}, {\"b\":2}]\n[\n]\n",
        &[(1, "{\"a\":1}"), (1, "{\"b\":2}")],
    );
    expect_values(
        "[\n  {\n    \"a\": 1\n  },\n  {\"b\": 2}\n]\n{\"c\":3}\n",
        &[
            (2, "{\n    \"a\": 1\n  }"),
            (5, "{\"b\": 2}"),
            (7, "{\"c\":3}"),
        ],
    );
    expect_values(
        "{\n \"Findings\" : [\n  {\"a\":1},\n  {\"b\":2}\n ],\n \"NextToken\": \"x\"\n}\n{\"c\":3}",
        &[(3, "{\"a\":1}"), (4, "{\"b\":2}"), (8, "{\"c\":3}")],
    );
    expect_values("{\"Findings\": 7}", &[(1, "{\"Findings\": 7}")]);
    expect_values("{\"FindingsX\": []}", &[(1, "{\"FindingsX\": []}")]);
}

#[test]
fn values_other_than_objects_are_values_too() {
    expect_values("12\nnull \"x\"", &[(1, "12"), (2, "null"), (2, "\"x\"")]);
}

#[test]
fn a_byte_order_mark_is_passed_over_and_utf_16_named() {
    expect_values("\u{feff}{\"a\":1}\n", &[(1, "{\"a\":1}")]);
    let found = read(&b"\xff\xfe{\0}\0\n\0{\0}\0"[..]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.as_ref().is_err_and(|it| it.contains("UTF-16")));
}

#[test]
fn a_line_that_is_not_json_costs_only_itself() {
    expect(
        "{\"a\":1}\nnonsense\nmore\n{\"b\":2}\n",
        &[
            (1, Ok("{\"a\":1}")),
            (2, Err("expected ident")),
            (3, Err("expected value")),
            (4, Ok("{\"b\":2}")),
        ],
    );
}

#[test]
fn a_line_that_ends_too_early_does_not_take_the_next_one_along() {
    for cut_off in ["{\"a\":1,", "{\"a\": \"x", "{\"a\": tru", "{"] {
        let text = format!("{{\"z\":1}}\n{cut_off}\n{{\"b\":2}}\n{{\"c\":3}}\n");
        let found = values(&text);
        let values: Vec<_> = found
            .iter()
            .filter_map(|(_, it)| it.as_deref().ok())
            .collect();
        assert_eq!(
            values,
            ["{\"z\":1}", "{\"b\":2}", "{\"c\":3}"],
            "{found:#?}"
        );
        assert_eq!(found.len(), 4, "{found:#?}");
    }
}

#[test]
fn values_on_lines_are_separated_by_line_ends() {
    // Whoever reads the second finds out that it is not complete; it costs the third nothing.
    expect_values(
        "{\"z\":1}\n{\"a\": {\"x\": 1}\n{\"b\":2}\n",
        &[
            (1, "{\"z\":1}"),
            (2, "{\"a\": {\"x\": 1}"),
            (3, "{\"b\":2}"),
        ],
    );
}

#[test]
fn a_broken_value_over_several_lines_is_skipped_as_one() {
    expect(
        "{\n  \"a\": nonsense,\n  \"b\": [\n  ]\n}\n{\"c\":3}\n",
        &[(2, Err("up to line 5 is skipped")), (6, Ok("{\"c\":3}"))],
    );
}

#[test]
fn a_list_goes_on_behind_a_broken_value() {
    expect(
        "[\n{\"a\":1},\n{\"b\":oops},\n{\"c\":3}\n]\n{\"d\":4}\n",
        &[
            (2, Ok("{\"a\":1}")),
            (3, Err("not JSON")),
            (4, Ok("{\"c\":3}")),
            (6, Ok("{\"d\":4}")),
        ],
    );
    expect(
        "[\n  {\"a\":1},\n  {\n    \"b\":oops\n  }\n]\n{\"d\":4}\n",
        &[
            (2, Ok("{\"a\":1}")),
            (4, Err("up to line 5 is skipped")),
            (7, Ok("{\"d\":4}")),
        ],
    );
    expect(
        "[\n{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n",
        &[
            (2, Ok("{\"a\":1}")),
            (3, Err("expected `,` or `]`")),
            (3, Ok("{\"b\":2}")),
            (4, Ok("{\"c\":3}")),
        ],
    );
}

#[test]
fn a_value_cut_off_at_the_end_is_an_error_at_its_beginning() {
    expect(
        "{\"a\":1}\n{\n\"b\": [\n",
        &[(1, Ok("{\"a\":1}")), (2, Err("the file ends in line 3"))],
    );
    expect(
        "\n[\n{\"a\":1},\n",
        &[
            (3, Ok("{\"a\":1}")),
            (
                2,
                Err("list that begins here is not complete: the file ends in line 4"),
            ),
        ],
    );
    expect(
        "{\"Findings\": [{\"a\":1}]",
        &[(1, Ok("{\"a\":1}")), (1, Err("not complete"))],
    );
}

#[test]
fn a_value_that_is_too_long_is_named_and_not_kept() {
    /// A stream of `length` bytes made on the way.
    struct Long {
        left: usize,
    }
    impl Read for Long {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.left);
            buffer[..count].fill(b'x');
            self.left -= count;
            Ok(count)
        }
    }
    for behind_a_line in ["", "{\"a\":1}\n"] {
        let stream = Cursor::new(format!("{behind_a_line}{{\"b\":\""))
            .chain(Long { left: 5 * LONGEST })
            .chain(Cursor::new("\"}\n{\"c\":3}\n"));
        let mut stream = JsonStream::new(stream);
        let found: Vec<_> = stream.by_ref().collect();
        let held = stream.window.capacity();
        assert!(held <= 3 * LONGEST, "{held}");
        let line = 1 + newlines(behind_a_line.as_bytes());
        let [.., long, last] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(*long, (line, Err("longer than 8 MiB".to_owned())));
        assert_eq!(*last, (line + 1, Ok(b"{\"c\":3}".to_vec())));
    }
}

#[test]
fn a_value_as_long_as_is_allowed_is_kept() {
    let value = format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST - 8));
    assert_eq!(value.len(), LONGEST);
    expect_long(&value, true);
    expect_long(&value.replace("x\"", "xx\""), false);
}

fn expect_long(value: &str, kept: bool) {
    for text in [
        format!("{value}\n{{}}\n"),
        format!("{{}}\n{value}\n{{}}\n"),
        format!("[{value}\n,{{}}]"),
    ] {
        let found = read(text.as_bytes());
        assert!(found.iter().any(|(_, it)| it.as_deref() == Ok("{}")));
        assert_eq!(found.iter().all(|(_, it)| it.is_ok()), kept);
    }
}

#[test]
fn lists_longer_than_any_value_may_be_are_cut_on_the_way() {
    for (head, tail) in [("[", "]"), ("{\"Findings\":[", "],\"NextToken\":\"\"}")] {
        let value = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
        let count = 2 * LONGEST / value.len();
        let list = vec![value.as_str(); count].join(",\n");
        let text = format!("{head}{list}{tail}\n");
        let mut stream = JsonStream::new(text.as_bytes());
        let lines: Vec<_> = stream.by_ref().map(|(line, _)| line).collect();
        let held = stream.window.capacity();
        assert!(held <= 4 * CHUNK, "{held}");
        assert_eq!(lines, (1..=count as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_failing_stream_reports_its_error_after_its_values() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    let found = read(Cursor::new("{\"a\":1}\n{\"b\":").chain(Fails));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0], (1, Ok("{\"a\":1}".to_owned())));
    let problem = found[1].1.as_ref().expect_err("an error");
    assert!(
        found[1].0 == 2 && problem.contains("the disk is on fire"),
        "{found:?}"
    );
}

#[test]
fn complete_values_are_answered_while_the_stream_waits() {
    /// Gives its parts one at a time and notes when a part is asked for.
    struct Parts<'a> {
        parts: Vec<&'static str>,
        asked: &'a Mutex<usize>,
    }
    impl Read for Parts<'_> {
        fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
            *self.asked.lock().expect("no panic elsewhere") += 1;
            match self.parts.pop() {
                Some(part) => buffer.write(part.as_bytes()),
                None => Ok(0),
            }
        }
    }
    let asked = Mutex::new(0);
    let parts = vec!["{\"b\":2}\n", "{\"a\":1}\n"];
    let mut stream = JsonStream::new(Parts {
        parts,
        asked: &asked,
    });
    assert_eq!(stream.next(), Some((1, Ok(b"{\"a\":1}".to_vec()))));
    assert_eq!(*asked.lock().expect("no panic elsewhere"), 1);
}

#[test]
fn the_work_is_in_proportion_to_the_length() {
    // Each of these would be read again from every line on, if a value that never ends were tried
    // again one line further down.
    for line in ["[\n", "{\"a\":[\n", "{\"a\":\n", "\"\n", "[[{\n"] {
        let text = line.repeat((LONGEST + CHUNK) / line.len());
        let values = JsonStream::new(text.as_bytes()).count();
        assert!(values < text.len(), "{line}");
    }
}
