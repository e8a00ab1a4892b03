//! Instructions that not every x86-64 has. Rows are made of shifted and trimmed integers, and these shift, and count
//! zeros, several times as fast; so what writes rows is compiled for both kinds, and chooses once per list of keys.

/// Whether shifts, counts of zeros and vectors of the third level of x86-64 can be used.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn has_bit_instructions() -> bool {
    // Remembered by the standard library after the first time.
    std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("popcnt")
        && std::arch::is_x86_feature_detected!("avx2")
}
