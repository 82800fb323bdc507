//! Messages and commands.

use super::*;

#[test]
fn reliable_messages_arrive_once_in_order_and_whole() {
    let sent = || Story::of(OURS).sends(60.0, 0, 1, 1, true).sends(60.1, 0, 1, 2, true);
    sent().gets(60.2, 1, 0, 1, true).gets(60.3, 1, 0, 2, true).ends(70.0).is_fine();
    let swapped = sent().gets(60.2, 1, 0, 2, true).gets(60.3, 1, 0, 1, true).ends(70.0);
    swapped.breaks(Rule::Service, "got reliable message 1 of n1 after 2");
    let twice = sent().gets(60.2, 1, 0, 1, true).gets(60.3, 1, 0, 1, true);
    twice.breaks(Rule::Service, "got message 1 twice");
    sent()
        .gets(60.2, 1, 0, 1, true)
        .ends(70.0)
        .breaks(Rule::Service, "never got the reliable message 2");
    sent().gets(60.2, 2, 0, 1, true).breaks(Rule::Service, "that was not for it");
    let cut = Err(("soak".to_owned(), "its length is wrong"));
    let cut = What::Message { from: Some(0), reliable: true, received: cut };
    sent().at(60.2, 1, cut).breaks(Rule::Service, "damaged message (its length is wrong)");
}

#[test]
fn a_best_effort_message_is_missed_between_members_that_are_well_only() {
    let sent = |story: Story| story.sends(60.0, 0, 1, 1, false).ends(70.0);
    sent(Story::of(OURS)).breaks(Rule::Service, "never got the best-effort message 1 of n1");
    sent(Story::of(OURS).at(50.0, 1, What::Frozen).at(59.0, 1, What::Thawed)).is_fine();
}

#[test]
fn a_command_is_answered_and_what_is_asked_of_the_well_is_not_refused() {
    let asked = || Story::of(OURS).at(60.0, 0, What::Asked(Command::Ping { to: 1 }));
    asked().ends(70.0).is_fine();
    asked().ends(80.0).breaks(Rule::Service, "has not answered in time");
    let refused = What::Replied(Err("timed out".to_owned()));
    asked().at(61.0, 0, refused.clone()).breaks(Rule::Service, "refused a ping to n2: timed out");
    let killed = asked().dies(60.5, 1);
    killed.at(61.0, 0, refused).is_fine();
    let stream = Command::Stream { to: 1, text: "hello".to_owned() };
    let echoed = What::Replied(Ok(Some("hell".to_owned())));
    let story = Story::of(OURS).at(60.0, 0, What::Asked(stream)).at(60.1, 0, echoed);
    story.breaks(Rule::Service, "n2 echoed 4 bytes of 5");
}
