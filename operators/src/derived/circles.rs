//! The order in which features that refer to each other can be computed, and the circles that leave none.

/// What a walk over references found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// Every feature that was reached, after all it refers to.
    pub order: Vec<usize>,
    /// Each the way from a feature back to it: `[a, b, a]`.
    pub circles: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    OnTheWay,
    Done,
}

/// Follows the references of `count` features from `roots`, in their order. Keeps its own stack: chains are as long as
/// the files say.
pub(super) fn walk<'a>(
    roots: impl IntoIterator<Item = usize>,
    count: usize,
    references: impl Fn(usize) -> &'a [usize],
) -> Walk {
    let mut marks = vec![Mark::Unseen; count];
    let mut found = Walk::default();
    for root in roots {
        if marks[root] != Mark::Unseen {
            continue;
        }
        marks[root] = Mark::OnTheWay;
        // Features on the way, each with the number of its references already followed.
        let mut way = vec![(root, 0)];
        while let Some((node, followed)) = way.last_mut() {
            let Some(&next) = references(*node).get(*followed) else {
                marks[*node] = Mark::Done;
                found.order.push(*node);
                way.pop();
                continue;
            };
            *followed += 1;
            match marks[next] {
                Mark::Done => {}
                Mark::Unseen => {
                    marks[next] = Mark::OnTheWay;
                    way.push((next, 0));
                }
                Mark::OnTheWay => {
                    let from = way.iter().position(|(node, _)| *node == next).unwrap_or_default();
                    let circle = way[from..].iter().map(|(node, _)| *node).chain([next]);
                    found.circles.push(circle.collect());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(roots: impl IntoIterator<Item = usize>, references: &[Vec<usize>]) -> Walk {
        walk(roots, references.len(), |node| &references[node])
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let references = [vec![1, 2], vec![2], vec![], vec![0]];
        assert_eq!(over([0], &references), Walk { order: vec![2, 1, 0], circles: vec![] });
        assert_eq!(over([2, 3], &references).order, [2, 1, 0, 3]);
    }

    #[test]
    fn circles_are_found_with_their_way() {
        assert_eq!(over([0], &[vec![0]]).circles, [[0, 0]]);
        assert_eq!(over(0..4, &[vec![1], vec![2], vec![1], vec![0]]).circles, [[1, 2, 1]]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let references: Vec<Vec<usize>> = (1..=1_000_000).map(|next| vec![next % 1_000_000]).collect();
        let walked = over([0], &references);
        assert_eq!((walked.order.len(), walked.circles.len()), (1_000_000, 1));
    }
}
