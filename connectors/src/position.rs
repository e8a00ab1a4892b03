//! One number per record that orders events of equal event time: where the record stands in its source.
//!
//! History sorts before the stream that continues it: bit 63 is clear for files and set for streams. Below it, files
//! hold a 23-bit file index and a 40-bit row number, Kafka a 15-bit partition and a 48-bit offset, the embedded log a
//! 63-bit offset. Numbers beyond these widths stop at the largest one; planning and connecting refuse such inputs.

const STREAM: u64 = 1 << 63;
const ROW_BITS: u32 = 40;
const OFFSET_BITS: u32 = 48;

const ELEMENT_BITS: u32 = 12;

/// Elements of one record beyond this number cannot be told apart.
pub const ELEMENTS: usize = 1 << ELEMENT_BITS;

/// Files of one source beyond this number cannot be told apart.
pub const MAX_FILES: usize = 1 << 23;
/// Partitions of one topic beyond this number cannot be told apart.
pub const MAX_PARTITIONS: usize = 1 << 15;

/// The position of row `row` (from 0) of file `file` (from 0, in planned order).
pub fn history(file: usize, row: u64) -> u64 {
    let file = file.min(MAX_FILES - 1) as u64;
    (file << ROW_BITS) | row.min((1 << ROW_BITS) - 1)
}

/// `(file, row)` of a position made by [`history`].
pub fn split_history(position: u64) -> (usize, u64) {
    ((position >> ROW_BITS) as usize & (MAX_FILES - 1), position & ((1 << ROW_BITS) - 1))
}

/// Whether a record came by a stream; those of files did not.
pub fn is_stream(position: u64) -> bool {
    position & STREAM != 0
}

/// The position of a Kafka record. Negative numbers, which Kafka never gives a record, count as 0.
pub fn kafka(partition: i32, offset: i64) -> u64 {
    let partition = partition.clamp(0, MAX_PARTITIONS as i32 - 1) as u64;
    STREAM | (partition << OFFSET_BITS) | (offset.max(0) as u64).min((1 << OFFSET_BITS) - 1)
}

/// `(partition, offset)` of a position made by [`kafka`].
pub fn split_kafka(position: u64) -> (i32, i64) {
    let position = position & !STREAM;
    ((position >> OFFSET_BITS) as i32, (position & ((1 << OFFSET_BITS) - 1)) as i64)
}

/// The position of a record of the embedded log.
pub fn log(offset: u64) -> u64 {
    STREAM | offset
}

/// The offset of a position made by [`log`].
pub fn split_log(position: u64) -> u64 {
    position & !STREAM
}

/// Bits of a position that number records: below them stands nothing, above them where the records are.
fn record_bits(position: u64, kafka: bool) -> u32 {
    match (is_stream(position), kafka) {
        (false, _) => ROW_BITS,
        (true, true) => OFFSET_BITS,
        (true, false) => 63,
    }
}

/// The position of element `index` of the record at `position`: elements of a record follow each other, records stay in
/// their order. A record's number loses bits by it: 28 are left in files, 36 with Kafka, 51 in the log; numbers beyond
/// them stop at the largest one.
pub fn element(position: u64, kafka: bool, index: usize) -> u64 {
    let bits = record_bits(position, kafka);
    let number = position & ((1 << bits) - 1);
    let most = (1 << (bits - ELEMENT_BITS)) - 1;
    let index = index.min(ELEMENTS - 1) as u64;
    position >> bits << bits | number.min(most) << ELEMENT_BITS | index
}

/// The record that an [`element`] is of.
pub fn record_of(position: u64, kafka: bool) -> u64 {
    let bits = record_bits(position, kafka);
    position >> bits << bits | (position & ((1 << bits) - 1)) >> ELEMENT_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_follow_each_other_within_their_record() {
        for (at, next, kafka) in
            [(history(3, 9), history(3, 10), false), (log(77), log(78), false), (kafka(5, 8), kafka(5, 9), true)]
        {
            let elements: Vec<u64> = (0..3).map(|index| element(at, kafka, index)).collect();
            assert!(elements.is_sorted() && elements[2] < element(next, kafka, 0));
            assert!(elements.iter().all(|element| record_of(*element, kafka) == at));
            assert_eq!(is_stream(elements[0]), is_stream(at));
        }
        assert!(element(history(0, u64::MAX), false, usize::MAX) < element(history(1, 0), false, 0));
    }

    #[test]
    fn positions_split_into_what_they_were_made_of_and_order_history_first() {
        assert_eq!(split_history(history(7, 123_456)), (7, 123_456));
        assert_eq!(split_kafka(kafka(32_767, 1 << 40)), (32_767, 1 << 40));
        assert_eq!(split_log(log(u64::from(u32::MAX) + 9)), u64::from(u32::MAX) + 9);
        assert!(history(0, u64::MAX) < history(1, 0));
        assert!(history(usize::MAX, u64::MAX) < kafka(0, 0));
        assert!(history(usize::MAX, u64::MAX) < log(0));
        assert!(kafka(0, i64::MAX) < kafka(1, 0));
        assert_eq!(kafka(-1, -1), kafka(0, 0));
    }
}
