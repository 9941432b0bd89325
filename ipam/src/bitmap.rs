//! A sparse set of numbers that finds the next free one fast and keeps a mark with each taken one.
//!
//! Numbers lie in pages of 4,096; a page that is empty takes no memory, so an IPv6 block of any size costs what
//! is in it: one bit and four bytes a number in a dense page. Summaries of full words and of full pages keep the
//! search short when nearly everything is taken.

use std::collections::BTreeMap;

const PAGE_BITS: u32 = 12;
const PAGE: usize = 1 << PAGE_BITS;
const WORDS: usize = PAGE / 64;

/// What is kept with a taken number.
pub(crate) type Mark = u32;

/// Numbers that are taken.
#[derive(Debug, Default)]
pub(crate) struct Bitmap {
    pages: BTreeMap<u128, Box<Page>>,
    /// Full pages, as ranges [first, last]: what the search steps over in one go.
    full: BTreeMap<u128, u128>,
}

#[derive(Debug)]
struct Page {
    words: [u64; WORDS],
    /// One bit a full word.
    full: u64,
    count: u32,
    /// The marks of each word in which a bit has ever been set.
    marks: [Option<Box<[Mark; 64]>>; WORDS],
}

impl Page {
    fn new() -> Box<Self> {
        Box::new(Self { words: [0; WORDS], full: 0, count: 0, marks: [const { None }; WORDS] })
    }

    fn is_taken(&self, offset: usize) -> bool {
        self.words[offset / 64] >> (offset % 64) & 1 == 1
    }

    fn mark(&self, offset: usize) -> Option<Mark> {
        let marks = self.marks[offset / 64].as_ref().filter(|_| self.is_taken(offset))?;
        Some(marks[offset % 64])
    }

    fn set_mark(&mut self, offset: usize, mark: Mark) {
        self.marks[offset / 64].get_or_insert_with(|| Box::new([0; 64]))[offset % 64] = mark;
    }

    /// How many offsets from `first` to `last`, both inclusive, are taken.
    fn count_in(&self, first: usize, last: usize) -> u32 {
        (first / 64..=last / 64)
            .map(|word| {
                let low = if word == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
                let high = if word == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
                (self.words[word] & low & high).count_ones()
            })
            .sum()
    }

    /// First free offset from `from` on.
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

fn split(number: u128) -> (u128, usize) {
    (number >> PAGE_BITS, (number & (PAGE as u128 - 1)) as usize)
}

/// First number of a page; absent behind the last one.
fn start_of(page: u128) -> Option<u128> {
    (page <= u128::MAX >> PAGE_BITS).then_some(page << PAGE_BITS)
}

impl Bitmap {
    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The mark of a taken number; absent when it is free.
    pub(crate) fn mark(&self, number: u128) -> Option<Mark> {
        let (page, offset) = split(number);
        self.pages.get(&page)?.mark(offset)
    }

    /// Gives a taken number another mark; nothing happens to a free one.
    pub(crate) fn set_mark(&mut self, number: u128, mark: Mark) {
        let (page, offset) = split(number);
        if let Some(page) = self.pages.get_mut(&page).filter(|page| page.is_taken(offset)) {
            page.set_mark(offset, mark);
        }
    }

    /// How many numbers from `first` to `last`, both inclusive, are taken.
    pub(crate) fn count_in(&self, first: u128, last: u128) -> u128 {
        let ((first_page, low), (last_page, high)) = (split(first), split(last));
        let pages = self.pages.range(first_page..=last_page).map(|(number, page)| {
            let low = if *number == first_page { low } else { 0 };
            let high = if *number == last_page { high } else { PAGE - 1 };
            if low == 0 && high == PAGE - 1 { page.count } else { page.count_in(low, high) }
        });
        pages.map(u128::from).sum()
    }

    /// The taken numbers from `first` to `last`, both inclusive, ascending, with their marks.
    pub(crate) fn taken_in(&self, first: u128, last: u128) -> impl Iterator<Item = (u128, Mark)> {
        let pages = self.pages.range(split(first).0..=split(last).0);
        let all = pages.flat_map(|(number, page)| {
            (0..PAGE).filter_map(move |offset| {
                page.mark(offset).map(|mark| ((number << PAGE_BITS) | offset as u128, mark))
            })
        });
        all.filter(move |(number, _)| (first..=last).contains(number))
    }

    /// Takes a number; `false` when it was taken, and then its mark stays.
    pub(crate) fn insert(&mut self, number: u128, mark: Mark) -> bool {
        let (number, offset) = split(number);
        let page = self.pages.entry(number).or_insert_with(Page::new);
        if page.is_taken(offset) {
            return false;
        }
        let word = &mut page.words[offset / 64];
        *word |= 1u64 << (offset % 64);
        if *word == u64::MAX {
            page.full |= 1 << (offset / 64);
        }
        page.set_mark(offset, mark);
        page.count += 1;
        if page.count as usize == PAGE {
            self.became_full(number);
        }
        true
    }

    /// Frees a number; `false` when it was free.
    pub(crate) fn remove(&mut self, number: u128) -> bool {
        let (number, offset) = split(number);
        let Some(page) = self.pages.get_mut(&number) else { return false };
        let (word, bit) = (&mut page.words[offset / 64], 1u64 << (offset % 64));
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        page.full &= !(1 << (offset / 64));
        let was_full = page.count as usize == PAGE;
        page.count -= 1;
        if page.count == 0 {
            self.pages.remove(&number);
        }
        if was_full {
            self.no_longer_full(number);
        }
        true
    }

    /// First free number from `from` to `last`, both inclusive.
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_that_finds_the_next_free_number(
            steps in proptest::collection::vec((0u8..3, 0u128..9000), 0..400),
            filled in proptest::collection::vec(0u128..4, 0..4), from in 0u128..20000, length in 0u128..9000)
        {
            let (mut map, mut model) = (Bitmap::default(), BTreeMap::new());
            for number in filled.into_iter().flat_map(|page| page * 4096..(page + 1) * 4096) {
                prop_assert_eq!(map.insert(number, 1), !model.contains_key(&number));
                model.entry(number).or_insert(1);
            }
            for (mark, (step, number)) in (2..).zip(steps) {
                match step {
                    0 => {
                        prop_assert_eq!(map.insert(number, mark), !model.contains_key(&number));
                        model.entry(number).or_insert(mark);
                    }
                    1 => {
                        map.set_mark(number, mark);
                        model.entry(number).and_modify(|old| *old = mark);
                    }
                    _ => prop_assert_eq!(map.remove(number), model.remove(&number).is_some()),
                }
                prop_assert_eq!(map.mark(number), model.get(&number).copied());
            }
            let wanted = (from..=20000).find(|number| !model.contains_key(number));
            prop_assert_eq!(map.next_free(from, 20000), wanted);
            let range = from..=from + length;
            let wanted: Vec<(u128, Mark)> = model.range(range.clone()).map(|(number, mark)| (*number, *mark)).collect();
            prop_assert_eq!(map.count_in(*range.start(), *range.end()), wanted.len() as u128);
            prop_assert_eq!(map.taken_in(*range.start(), *range.end()).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn the_end_of_the_largest_block_is_no_overflow() {
        let mut map = Bitmap::default();
        map.insert(u128::MAX, 7);

        assert_eq!(map.next_free(u128::MAX, u128::MAX), None);
        assert_eq!((map.mark(u128::MAX), map.count_in(0, u128::MAX)), (Some(7), 1));
        assert!(map.remove(u128::MAX));
    }

    #[test]
    fn what_is_empty_takes_no_memory() {
        let mut map = Bitmap::default();
        for number in 0..100u128 {
            map.insert(number << 64, 1);
        }
        for number in 0..100u128 {
            map.remove(number << 64);
        }

        assert!(map.pages.is_empty() && map.full.is_empty());
    }
}
