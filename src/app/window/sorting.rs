//! The order of results in the table.

use super::queue::{Item, State};

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sorting {
    Name,
    LoopPsnr,
    #[default]
    ExpectedPsnr,
    DualLoss,
    Size,
    Time,
}

/// Failures first, then what is done by the column, then the rest in its order.
pub(crate) fn sorted(items: &[Item], sorting: Sorting) -> Vec<&Item> {
    let mut rows: Vec<&Item> = items.iter().collect();
    let rank = |item: &Item| match &item.state {
        State::Failed(_) => (0, 0.0, 0.0),
        State::Done(finished) => {
            let looped = finished.proven.loop_psnr.unwrap_or(f64::INFINITY);
            let value = match sorting {
                Sorting::Name => 0.0,
                Sorting::LoopPsnr => looped,
                Sorting::ExpectedPsnr => finished.proven.expected_psnr.unwrap_or(f64::INFINITY),
                Sorting::DualLoss => -finished.proven.dual_loss.unwrap_or(0.0),
                Sorting::Size => -((finished.size[0] * finished.size[1]) as f64),
                Sorting::Time => -finished.seconds,
            };
            (1, value, looped)
        }
        _ => (2, 0.0, 0.0),
    };
    rows.sort_by(|a, b| {
        if sorting == Sorting::Name {
            return a.name().cmp(&b.name());
        }
        let ((a_group, a_value, a_loop), (b_group, b_value, b_loop)) = (rank(a), rank(b));
        // What a model without known errors made is told apart by the loop.
        a_group.cmp(&b_group).then(a_value.total_cmp(&b_value)).then(a_loop.total_cmp(&b_loop))
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::queue::{Finished, Proven, Queue};

    #[test]
    fn doubtful_results_come_first() {
        let mut queue = Queue::default();
        let finished = |loop_psnr: f64, seconds: f64| {
            State::Done(Finished {
                output: "out.png".into(),
                size: [2, 2],
                model: "x2".into(),
                device: "CPU".into(),
                fidelity: 0.0,
                seconds,
                // The loop of the one closes worse, the other is expected to be worse.
                proven: Proven {
                    loop_psnr: Some(loop_psnr),
                    dual_loss: Some(1.0),
                    expected_psnr: Some(80.0 - loop_psnr),
                    worst: None,
                    misfit: None,
                },
            })
        };
        for (name, state) in [
            ("b", finished(50.0, 1.0)),
            ("waiting", State::Waiting),
            ("a", finished(30.0, 2.0)),
            ("bad", State::failed("why")),
        ] {
            let id = queue.add(name.into(), None);
            if let Some(item) = queue.get_mut(id) {
                item.state = state;
            }
        }
        let names = |sorting| sorted(queue.items(), sorting).iter().map(|item| item.name()).collect::<Vec<_>>();
        assert_eq!(names(Sorting::LoopPsnr), ["bad", "a", "b", "waiting"]);
        assert_eq!(names(Sorting::ExpectedPsnr), ["bad", "b", "a", "waiting"]);
        assert_eq!(names(Sorting::Time), ["bad", "a", "b", "waiting"]);
        assert_eq!(names(Sorting::Name), ["a", "b", "bad", "waiting"]);
    }
}
