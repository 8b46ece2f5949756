//! The tree against published roots and against the definition; one encoding for one row; notes.

use super::item::{self, Item, Value};
use super::tree::{Frontier, root_by};
use super::{Digests, Head, PublicKey, head::Note};
use chrono::{TimeZone, Utc};

fn leaf(data: &[u8]) -> Digests {
    Digests::of(&[&[0], data].concat())
}

fn numbered(count: u64) -> Vec<Digests> {
    (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
}

/// RFC 6962 §2.1, word by word.
fn by_definition(leaves: &[Digests]) -> Digests {
    match leaves {
        [] => Digests::of(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Digests::over(&[1], &[&by_definition(left), &by_definition(right)])
        }
    }
}

fn grown(leaves: &[Digests]) -> Frontier {
    let mut tree = Frontier::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree
}

/// The roots that implementations of Certificate Transparency test themselves with.
#[test]
fn the_tree_has_the_roots_that_others_have() {
    let leaves: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Frontier::default();
    for (size, root) in roots.into_iter().enumerate() {
        assert_eq!(hex::encode(tree.root().sha256), root, "{size} leaves");
        if let Some(data) = leaves.get(size) {
            tree.push(leaf(data));
        }
    }
}

/// GB/T 32905-2016, example 1 of appendix A.
#[test]
fn sm3_is_the_published_one() {
    let digest = hex::encode(Digests::of(b"abc").sm3);
    assert_eq!(digest, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
}

#[test]
fn a_tree_grown_leaf_by_leaf_is_the_one_defined_and_can_be_kept() {
    let leaves = numbered(70);
    for size in 0..leaves.len() {
        let tree = grown(&leaves[..size]);
        assert_eq!(tree.root(), by_definition(&leaves[..size]), "{size} leaves");
        let mut kept = Frontier::from_bytes(&tree.to_bytes()).unwrap();
        assert_eq!(kept, tree);
        kept.push(leaves[size]);
        assert_eq!(kept.root(), by_definition(&leaves[..=size]));
    }
    assert_eq!(Frontier::from_bytes(&[0; 7]), None);
    assert_eq!(Frontier::from_bytes(&[&3_u64.to_be_bytes()[..], &[0; 64]].concat()), None);
}

#[test]
fn every_leaf_of_every_size_is_shown_by_its_path_and_nothing_else_is() {
    let leaves = numbered(33);
    for size in 1..=leaves.len() {
        let mut tree = Frontier::following(0..size as u64);
        leaves[..size].iter().for_each(|leaf| tree.push(*leaf));
        let root = tree.root();
        let paths = tree.paths();
        assert_eq!(paths.len(), size);
        for (index, path) in paths {
            let own = leaves[index as usize];
            let by = |leaf, index, path: &[Digests]| root_by(leaf, index, size as u64, path);
            assert_eq!(by(own, index, &path), Some(root), "{index} of {size}");
            assert_ne!(by(leaf(b"forged"), index, &path), Some(root));
            assert_eq!(by(own, size as u64, &path), None, "past the end");
            if let Some((_, shorter)) = path.split_last() {
                assert_ne!(by(own, index, shorter), Some(root));
                assert_ne!(by(own, index ^ 1, &path), Some(root), "in another place");
            }
            assert_eq!(by(own, index, &[&path[..], &[own]].concat()), None, "too long");
        }
    }
    let mut some = Frontier::following([30, 2, 2, 99]);
    leaves.iter().for_each(|leaf| some.push(*leaf));
    let found: Vec<u64> = some.paths().into_iter().map(|(leaf, _)| leaf).collect();
    assert_eq!(found, [2, 30], "each once, and only what is there");
}

#[test]
fn rows_that_differ_have_different_digests() {
    fn text(text: &str) -> Value<'_> {
        Value::Text(text.as_bytes())
    }
    let rows: Vec<Vec<(&str, Value<'_>)>> = vec![
        vec![],
        vec![("a", Value::None)],
        vec![("a", Value::Integer(0))],
        vec![("a", Value::Integer(1))],
        vec![("a", Value::Real(0.0))],
        vec![("a", text(""))],
        vec![("a", text("0"))],
        vec![("a", Value::Blob(b""))],
        vec![("a", Value::Blob(b"0"))],
        vec![("b", text("0"))],
        vec![("a", text("b")), ("c", text("d"))],
        vec![("a", text("bc")), ("", text("d"))],
        vec![("c", text("d")), ("a", text("b"))],
    ];
    let digest = |row: &Vec<(&str, Value<'_>)>| item::row(row.iter().copied());
    let mut seen: Vec<Digests> = rows.iter().map(digest).chain([item::gone()]).collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn an_item_is_bound_to_all_that_it_says() {
    let item = Item {
        seq: 7,
        kind: "call".to_owned(),
        key: "[\"x\"]".to_owned(),
        row: Digests::of(b"row"),
        before: Digests::of(b"before"),
    };
    let others = [
        Item { seq: 8, ..item.clone() },
        Item { kind: "entry".to_owned(), ..item.clone() },
        Item { kind: "cal".to_owned(), key: "l[\"x\"]".to_owned(), ..item.clone() },
        Item { row: item::gone(), ..item.clone() },
        Item { before: Digests::NONE, ..item.clone() },
    ];
    for other in others {
        assert_ne!(other.leaf().sha256, item.leaf().sha256, "{other:?}");
        assert_ne!(other.leaf().sm3, item.leaf().sm3, "{other:?}");
    }
}

fn head() -> Head {
    Head {
        origin: "dutyline/0198f2c4a1b27c3d".to_owned(),
        size: 4711,
        root: Digests::of(b"root"),
        number: 12,
        at: Utc.with_ymd_and_hms(2026, 10, 3, 13, 42, 0).unwrap(),
    }
}

#[test]
fn a_note_is_read_as_it_was_written_and_not_otherwise() {
    let key = PublicKey { origin: head().origin, ed25519: [5; 32] };
    let note = head().note(&key, &[9; 64]);
    let read = Note::parse(&note).unwrap();
    assert_eq!((&read.head, &read.text), (&head(), &head().text()));
    assert_eq!((read.key_id, read.signature), (key.id(), [9; 64]));
    let spoiled = [
        note.replace("4711", "04711"),
        note.replace("4711\n", ""),
        note.replace(".000Z", "Z"),
        note.replace("— dutyline", "- dutyline"),
        note.replace("dutyline/", "elsewhere/"),
        format!("{note}x"),
        format!("x\n{note}"),
        "x".repeat(10_000),
        String::new(),
    ];
    for text in spoiled {
        assert_eq!(Note::parse(&text), None, "{text}");
    }
}

#[test]
fn a_key_is_written_with_its_name_and_its_id() {
    let key = PublicKey { origin: head().origin, ed25519: [5; 32] };
    let text = key.to_string();
    assert!(text.starts_with("dutyline/0198f2c4a1b27c3d+"), "{text}");
    assert_eq!(PublicKey::parse(&format!("{text}\n")), Some(key.clone()));
    for byte in [0xfb, 0xff, 0x00] {
        let key = PublicKey { ed25519: [byte; 32], ..key.clone() };
        assert_eq!(PublicKey::parse(&key.to_string()), Some(key.clone()), "{key}");
    }
    let other = PublicKey { ed25519: [6; 32], ..key };
    assert_ne!(other.id(), PublicKey::parse(&text).unwrap().id());
    let mixed = format!("{}{}", &text[..34], &other.to_string()[34..]);
    assert_eq!(PublicKey::parse(&mixed), None, "the id belongs to another key");
    assert_eq!(PublicKey::parse("nonsense"), None);
}
