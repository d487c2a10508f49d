//! Events of a batch on their way to their topics.

use bellwire_model::{Event, Topic};
use bellwire_wire::problem::{Code, Problem};

use super::retry::until_it_is_done;

/// Whether each of several events was taken, in their order.
type Taken = Vec<Result<(), Problem>>;

/// Publishes events with one attempt for all, again and again until it can be made. Gives those that find
/// no room: what is wrong with one, as a topic too many is, is told of all of them, so that they are
/// halved until it is found, and keeps nothing from the others. A problem says that the server ends.
pub(super) async fn publish<Of, F: Future<Output = Result<Taken, Problem>>>(
    mut attempt: impl FnMut(Vec<Event>) -> F,
    events: Vec<(Of, Event)>,
) -> Result<Vec<(Of, Topic, Problem)>, Problem> {
    let (mut left, mut refused) = (vec![events], Vec::new());
    while let Some(mut some) = left.pop().filter(|some| !some.is_empty()) {
        let copied = || some.iter().map(|(_, event)| event.clone()).collect();
        match until_it_is_done(|| attempt(copied())).await {
            Ok(taken) => {
                let each = some.into_iter().zip(taken);
                refused.extend(each.filter_map(|((of, event), taken)| {
                    taken.err().map(|problem| (of, event.topic, problem))
                }));
            }
            Err(problem) if problem.code == Code::Draining => return Err(problem),
            Err(problem) if some.len() == 1 => {
                let one = some.into_iter();
                refused.extend(one.map(|(of, event)| (of, event.topic, problem.clone())));
            }
            Err(_) => {
                let second = some.split_off(some.len() / 2);
                left.extend([second, some]);
            }
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwire_model::{Body, Timestamp};

    fn events(count: usize) -> Vec<(usize, Event)> {
        let event = |number: usize| Event {
            topic: format!("t/{number}").parse().expect("a topic"),
            key: None,
            event_type: None,
            time: Timestamp::from_ms(0),
            body: Some(Body::Text("x".into())),
        };
        (0..count).map(|number| (number, event(number))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_finds_no_room_keeps_nothing_from_the_others() {
        for count in [0, 1, 2, 7, 100] {
            let (mut durable, mut is_busy) = (Vec::new(), true);
            let attempt = |some: Vec<Event>| {
                is_busy = !is_busy;
                let too_many = |event: &Event| event.topic.as_str().ends_with('3');
                let done = if is_busy {
                    Err(Problem::new(Code::PublishersBusy, "later"))
                } else if some.iter().any(too_many) {
                    Err(Problem::new(Code::TopicsExhausted, "full"))
                } else {
                    let is_full = |event: &Event| event.topic.as_str().ends_with('5');
                    let taken = |event: Event| {
                        if is_full(&event) {
                            return Err(Problem::new(Code::StateFull, "full"));
                        }
                        durable.push(event.topic);
                        Ok(())
                    };
                    Ok(some.into_iter().map(taken).collect())
                };
                std::future::ready(done)
            };
            let refused = publish(attempt, events(count)).await.expect("it goes on");
            let refused: Vec<usize> = refused.into_iter().map(|(number, ..)| number).collect();
            let is_refused = |number: &usize| matches!(number % 10, 3 | 5);
            assert_eq!(refused, (0..count).filter(is_refused).collect::<Vec<_>>());
            // Each once, and in their order.
            let others = (0..count).filter(|number| !is_refused(number));
            let others: Vec<String> = others.map(|number| format!("t/{number}")).collect();
            assert_eq!(durable.iter().map(Topic::as_str).collect::<Vec<_>>(), others);
        }
    }

    #[tokio::test]
    async fn an_end_of_the_server_is_the_end_of_all() {
        let ends = |_| std::future::ready(Err(Problem::new(Code::Draining, "bye")));
        let problem = publish(ends, events(5)).await.expect_err("it ends");
        assert_eq!(problem.code, Code::Draining);
    }
}
