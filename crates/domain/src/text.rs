//! Bytes as text.

/// `bytes` as hexadecimal digits. The crate `hex` makes a text of them digit by digit, which is felt: every message
/// has several hashes.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len() * 2];
    // Both lengths are as they have to be, and digits are UTF-8.
    let _ = hex::encode_to_slice(bytes, &mut digits);
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_crate_writes_them() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(hex_text(&bytes), hex::encode(&bytes));
        assert_eq!(hex_text(&[]), "");
    }
}
