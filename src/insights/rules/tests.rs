//! The engine over tables in memory, and the pack that centime carries.

use super::*;
use crate::insights::prices::PriceBook;

#[test]
fn the_built_in_pack_can_be_read() {
    let book = PriceBook::load(&[], false).map_err(|problems| problems.to_string());
    let book = book.unwrap();
    let pack = Pack::load(&[], &[], &book).map_err(|problems| problems.to_string()).unwrap();
    assert_eq!(pack.rules().len(), builtin::RULES.len());
}

#[test]
fn all_rules_pass_their_own_tests() {
    let book = PriceBook::builtin();
    let trials = Pack::builtin().test(None, &book);
    let text = trials_text(&trials);
    assert!(trials.len() > 200 && trials.iter().all(|trial| trial.passed), "{text}");
}

#[test]
fn every_rule_is_tested_inside_outside_and_without_data() {
    for rule in Pack::builtin().rules() {
        let any = |wanted: fn(&Expect) -> bool| rule.tests.iter().any(|test| wanted(&test.expect));
        assert!(rule.tests.len() >= 3, "{}", rule.id);
        assert!(any(|expect| matches!(expect, Expect::Finding | Expect::Saving(_))), "{}", rule.id);
        assert!(any(|expect| *expect == Expect::Nothing), "{}", rule.id);
        assert!(any(|expect| *expect == Expect::Unknown), "{}", rule.id);
    }
}
