//! Values of alerts that go on: the board gets them, and those who notify where a notification
//! would say something else.

use std::sync::Arc;

use bellwire_alerts::desk::Audience;
use bellwire_model::{Labels, TransitionKind};

use crate::script::{Script, fingerprint};

#[test]
fn a_value_alone_is_for_the_board_and_another_text_for_everybody() {
    let mut script = Script::new();
    script.rule(TransitionKind::Firing, "Hot", 0);
    let case = script.desk.case(fingerprint("Hot")).expect("the alert is there");
    let mut alert = (**case.alert()).clone();
    let mut refresh = |alert: &bellwire_model::Alert| {
        let shown = script.desk.refresh([Arc::new(alert.clone())]).shown;
        shown.iter().map(|shown| shown.audience).collect::<Vec<_>>()
    };
    assert_eq!(refresh(&alert), []);
    alert.value = 2.0;
    assert_eq!(refresh(&alert), [Audience::Board]);
    alert.annotations = Labels::from_pairs([("summary", "2")]).expect("labels");
    assert_eq!(refresh(&alert), [Audience::All]);
    assert_eq!(refresh(&alert), []);
}
