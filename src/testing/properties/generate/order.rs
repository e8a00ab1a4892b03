//! Orders of arrival that mean the same.

use fastrand::Rng;

/// `0..count` in another order, in which the numbers of each chain stand in theirs. Chains must not contradict each other:
/// those of numbers ascending never do.
pub fn another(count: usize, chains: &[Vec<usize>], rng: &mut Rng) -> Vec<usize> {
    let mut waits_for = vec![0usize; count];
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (before, after) in chains.iter().flat_map(|chain| chain.iter().zip(chain.iter().skip(1))) {
        waits_for[*after] += 1;
        followers[*before].push(*after);
    }
    let mut free: Vec<usize> = (0..count).filter(|number| waits_for[*number] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while !free.is_empty() {
        let number = free.swap_remove(rng.usize(..free.len()));
        order.push(number);
        for follower in &followers[number] {
            waits_for[*follower] -= 1;
            if waits_for[*follower] == 0 {
                free.push(*follower);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_keep_their_order_and_the_rest_moves() {
        let chains = [vec![0, 3, 7], vec![3, 4], vec![1, 7, 9]];
        let mut moved = false;
        for seed in 0..50 {
            let order = another(10, &chains, &mut Rng::with_seed(seed));
            let mut all = order.clone();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
            let place = |number: &usize| order.iter().position(|known| known == number);
            for chain in &chains {
                assert!(chain.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])), "{order:?}");
            }
            moved |= order != all;
        }
        assert!(moved);
    }
}
