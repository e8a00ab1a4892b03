//! What of a settings file has the right shape although not all of it has, so that its values can be checked as well.

use super::raw::RawSettings;
use crate::decode::{Decode, Shape};
use crate::tree::{Content, Key, Node};

/// Sections whose fields mean the same with and without the others. Of the rest, half a section would be judged wrongly.
const LOOSE: [&str; 4] = ["engine", "http", "offline", "workspace"];

/// The sections that are sound, and of the loose ones the fields that are.
pub fn part(tree: &Node) -> Node {
    let kept = entries(tree).iter().filter_map(|(key, section)| {
        if is_sound(tree, key, section.clone()) {
            return Some((key.clone(), section.clone()));
        }
        if !LOOSE.contains(&key.text.as_str()) {
            return None;
        }
        let alone = |field: &(Key, Node)| is_sound(tree, key, with(section, vec![field.clone()]));
        let fields = entries(section).iter().filter(|field| alone(field)).cloned().collect();
        Some((key.clone(), with(section, fields)))
    });
    with(tree, kept.collect())
}

fn is_sound(tree: &Node, key: &Key, section: Node) -> bool {
    let file = with(tree, vec![(key.clone(), section)]);
    RawSettings::decode(&file, &mut Shape::new("CFG-SHAPE")).is_some()
}

fn entries(node: &Node) -> &[(Key, Node)] {
    match &node.content {
        Content::Map(entries) => entries,
        _ => &[],
    }
}

fn with(node: &Node, entries: Vec<(Key, Node)>) -> Node {
    Node { place: node.place.clone(), content: Content::Map(entries) }
}
