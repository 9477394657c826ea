use std::collections::HashMap;

use super::*;
use crate::blast_radius::BlastRadiusGroup;
use crate::category::Category;
use crate::record::text;

#[test]
fn a_window_is_found_again_from_its_key() {
    let of = |crowd| Window {
        category: Category::Ec2,
        account_id: "111122223333".to_owned(),
        crowd,
    };
    let group = BlastRadiusGroup::AutoScalingGroup {
        region: "us-east-1".to_owned(),
        name: "web#1/a".to_owned(),
    };
    for (window, key) in [
        (of(None), "BREAKER#ec2#111122223333"),
        (
            of(Some(group)),
            "BREAKER#ec2#111122223333#group#us-east-1/web#1/a",
        ),
        (
            of(Some(BlastRadiusGroup::Users)),
            "BREAKER#ec2#111122223333#users",
        ),
    ] {
        assert_eq!(window.key(), key);
        assert_eq!(Window::from_key(key), Some(window));
    }
    for key in [
        "BREAKER#",
        "BREAKER#new#1",
        "BREAKER#s3#1#new",
        "TARGET#s3#1",
    ] {
        assert_eq!(Window::from_key(key), None, "{key}");
    }
}

#[test]
fn a_place_whose_time_is_over_is_not_shown_and_neither_is_an_opening() {
    let places =
        [("a", 5), ("b", 10), ("c", 15)].map(|(name, until)| (name.to_owned(), number(until)));
    let item = HashMap::from([
        ("taken".to_owned(), AttributeValue::M(places.into())),
        ("open_until".to_owned(), number(10)),
        ("opened_by".to_owned(), text("request")),
        ("opened_at".to_owned(), text("1970-01-01T00:00:00Z")),
    ]);
    let live = |now| times(&taken(&item), now).into_keys().collect::<Vec<_>>();
    assert_eq!(live(4), ["a", "b", "c"]);
    assert_eq!(live(10), ["c"]);
    assert!(opened(&item, 9).is_some_and(|opened| opened.by == "request"));
    assert_eq!(opened(&item, 10), None);
}
