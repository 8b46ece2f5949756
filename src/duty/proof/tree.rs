//! The Merkle tree over the items (RFC 6962 §2.1), grown leaf by leaf; and the path that shows that
//! a leaf is in it.

use super::Digests;

/// The whole subtrees that a tree of some size consists of, the largest first: all that is needed
/// to grow it and to know its root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digests>,
    /// Leaves whose paths are gathered, by ascending number.
    followed: Vec<(u64, Path)>,
}

/// The neighbours between a leaf and the root, from the leaf up (RFC 6962 §2.1.1).
pub type Path = Vec<Digests>;

fn node(left: &Digests, right: &Digests) -> Digests {
    Digests::over(&[1], &[left, right])
}

impl Frontier {
    /// A tree that also gathers the paths of these leaves, wherever they are not in it yet.
    pub fn following(leaves: impl IntoIterator<Item = u64>) -> Self {
        let mut followed: Vec<(u64, Path)> =
            leaves.into_iter().map(|leaf| (leaf, Path::new())).collect();
        followed.sort_unstable_by_key(|(leaf, _)| *leaf);
        followed.dedup_by_key(|(leaf, _)| *leaf);
        Self { followed, ..Self::default() }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, leaf: Digests) {
        let mut top = leaf;
        // As many whole subtrees grow into one as the size has ones at its end.
        for level in 0..self.size.trailing_ones() {
            let Some(left) = self.roots.pop() else { break };
            let width = 1_u64 << level;
            let middle = self.size + 1 - width;
            self.follow((middle - width, middle, middle + width), (&left, &top));
            top = node(&left, &top);
        }
        self.roots.push(top);
        self.size += 1;
    }

    /// Both halves of `start..end` become one: each is on the other's paths.
    fn follow(
        &mut self,
        (start, middle, end): (u64, u64, u64),
        (left, right): (&Digests, &Digests),
    ) {
        if self.followed.is_empty() {
            return;
        }
        let at = |bound| self.followed.partition_point(|(leaf, _)| *leaf < bound);
        let (start, middle, end) = (at(start), at(middle), at(end));
        self.followed[start..middle].iter_mut().for_each(|(_, path)| path.push(*right));
        self.followed[middle..end].iter_mut().for_each(|(_, path)| path.push(*left));
    }

    /// The root of the tree as it is.
    pub fn root(&self) -> Digests {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Digests::of(b"") };
        roots.fold(*last, |right, left| node(left, &right))
    }

    /// The paths of the leaves that were to be followed, as far as they are in the tree.
    pub fn paths(mut self) -> Vec<(u64, Path)> {
        self.followed.retain(|(leaf, _)| *leaf < self.size);
        let mut starts = vec![];
        let mut start = 0;
        for level in (0..u64::BITS).rev().filter(|level| self.size >> level & 1 == 1) {
            starts.push(start);
            start += 1_u64 << level;
        }
        let roots = std::mem::take(&mut self.roots);
        let Some((last, others)) = roots.split_last() else { return vec![] };
        let mut right = *last;
        for (left, bounds) in others.iter().zip(starts.windows(2)).rev() {
            self.follow((bounds[0], bounds[1], self.size), (left, &right));
            right = node(left, &right);
        }
        self.followed
    }

    /// Size and subtrees, for keeping.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.roots.iter().for_each(|root| bytes.extend(root.to_bytes()));
        bytes
    }

    /// `None` where it is not what [`Frontier::to_bytes`] gives.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk()?;
        let size = u64::from_be_bytes(*size);
        let roots = rest.chunks(64).map(Digests::from_bytes).collect::<Option<Vec<_>>>()?;
        (roots.len() == size.count_ones() as usize).then_some(Self {
            size,
            roots,
            followed: vec![],
        })
    }
}

/// The root of a tree of `size` leaves in which `leaf` is number `index` and has this path (RFC
/// 9162 §2.1.3.2); `None` where the path has not the right length.
pub fn root_by(leaf: Digests, index: u64, size: u64, path: &[Digests]) -> Option<Digests> {
    let (mut at, mut last) = (index, size.checked_sub(1)?);
    if at > last {
        return None;
    }
    let mut root = leaf;
    for neighbour in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(neighbour, &root);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, neighbour);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}
