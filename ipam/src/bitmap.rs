//! A sparse set of positions that finds the next free one fast.
//!
//! Positions lie in pages of 4,096; a page that is empty takes no memory, so an IPv6 block of any size costs what
//! is in it. Summaries of full pages keep the search short when nearly everything is taken.

use std::collections::BTreeMap;

const PAGE_BITS: u32 = 12;
const PAGE: usize = 1 << PAGE_BITS;
const WORDS: usize = PAGE / 64;

/// Positions that are taken.
#[derive(Debug, Default)]
pub(crate) struct Bitmap {
    pages: BTreeMap<u128, Page>,
    /// Full pages, as ranges [first, last]: what the search steps over in one go.
    full: BTreeMap<u128, u128>,
    count: u128,
}

#[derive(Debug)]
struct Page {
    words: Box<[u64; WORDS]>,
    /// One bit a full word.
    full: u64,
    count: u32,
}

impl Page {
    fn new() -> Self {
        Self { words: Box::new([0; WORDS]), full: 0, count: 0 }
    }

    /// First free position from `from` on.
    fn next_free(&self, from: usize) -> Option<usize> {
        let (word, bit) = (from / 64, from % 64);
        let free = !self.words[word] & (u64::MAX << bit);
        if free != 0 {
            return Some(word * 64 + free.trailing_zeros() as usize);
        }
        let later = if word + 1 < WORDS { !self.full & (u64::MAX << (word + 1)) } else { 0 };
        if later == 0 {
            return None;
        }
        let word = later.trailing_zeros() as usize;
        Some(word * 64 + (!self.words[word]).trailing_zeros() as usize)
    }
}

fn split(position: u128) -> (u128, usize) {
    (position >> PAGE_BITS, (position & (PAGE as u128 - 1)) as usize)
}

/// First position of a page; absent behind the last one.
fn start_of(page: u128) -> Option<u128> {
    (page <= u128::MAX >> PAGE_BITS).then_some(page << PAGE_BITS)
}

impl Bitmap {
    /// How many positions are taken.
    pub(crate) fn count(&self) -> u128 {
        self.count
    }

    pub(crate) fn contains(&self, position: u128) -> bool {
        let (page, offset) = split(position);
        self.pages.get(&page).is_some_and(|page| page.words[offset / 64] >> (offset % 64) & 1 == 1)
    }

    /// Takes a position; `false` when it was taken.
    pub(crate) fn insert(&mut self, position: u128) -> bool {
        let (number, offset) = split(position);
        let page = self.pages.entry(number).or_insert_with(Page::new);
        let (word, bit) = (&mut page.words[offset / 64], 1u64 << (offset % 64));
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        if *word == u64::MAX {
            page.full |= 1 << (offset / 64);
        }
        page.count += 1;
        self.count += 1;
        if page.count as usize == PAGE {
            self.became_full(number);
        }
        true
    }

    /// Frees a position; `false` when it was free.
    pub(crate) fn remove(&mut self, position: u128) -> bool {
        let (number, offset) = split(position);
        let Some(page) = self.pages.get_mut(&number) else { return false };
        let (word, bit) = (&mut page.words[offset / 64], 1u64 << (offset % 64));
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        page.full &= !(1 << (offset / 64));
        let was_full = page.count as usize == PAGE;
        page.count -= 1;
        self.count -= 1;
        if page.count == 0 {
            self.pages.remove(&number);
        }
        if was_full {
            self.no_longer_full(number);
        }
        true
    }

    /// First free position from `from` to `last`, both inclusive.
    pub(crate) fn next_free(&self, from: u128, last: u128) -> Option<u128> {
        let mut position = from;
        while position <= last {
            let (number, offset) = split(position);
            if let Some((_, end)) = self.full.range(..=number).next_back().filter(|(_, end)| **end >= number)
            {
                position = start_of(end.checked_add(1)?)?;
                continue;
            }
            let Some(page) = self.pages.get(&number) else { return Some(position) };
            match page.next_free(offset) {
                Some(offset) => {
                    let found = (number << PAGE_BITS) | offset as u128;
                    return (found <= last).then_some(found);
                }
                None => position = start_of(number.checked_add(1)?)?,
            }
        }
        None
    }

    fn became_full(&mut self, number: u128) {
        let mut range = (number, number);
        if let Some((start, end)) = self.full.range(..number).next_back().map(|(start, end)| (*start, *end))
            && end + 1 == number
        {
            self.full.remove(&start);
            range.0 = start;
        }
        if let Some(end) = self.full.remove(&(number + 1)) {
            range.1 = end;
        }
        self.full.insert(range.0, range.1);
    }

    fn no_longer_full(&mut self, number: u128) {
        let found = self.full.range(..=number).next_back().map(|(start, end)| (*start, *end));
        let Some((start, end)) = found.filter(|(_, end)| *end >= number) else { return };
        self.full.remove(&start);
        if start < number {
            self.full.insert(start, number - 1);
        }
        if number < end {
            self.full.insert(number + 1, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_that_finds_the_next_free_one(
            steps in proptest::collection::vec((any::<bool>(), 0u128..9000), 0..400),
            filled in proptest::collection::vec(0u128..3, 0..3), from in 0u128..20000)
        {
            let (mut map, mut model) = (Bitmap::default(), BTreeSet::new());
            for page in filled {
                for position in page * 4096..(page + 1) * 4096 {
                    prop_assert_eq!(map.insert(position), model.insert(position));
                }
            }
            for (insert, position) in steps {
                if insert {
                    prop_assert_eq!(map.insert(position), model.insert(position));
                } else {
                    prop_assert_eq!(map.remove(position), model.remove(&position));
                }
            }
            prop_assert_eq!(map.count(), model.len() as u128);
            let wanted = (from..=20000).find(|position| !model.contains(position));
            prop_assert_eq!(map.next_free(from, 20000), wanted);
        }
    }

    #[test]
    fn the_end_of_the_largest_block_is_no_overflow() {
        let mut map = Bitmap::default();
        map.insert(u128::MAX);

        assert_eq!(map.next_free(u128::MAX, u128::MAX), None);
        assert!(map.contains(u128::MAX) && map.remove(u128::MAX));
    }
}
