//! A link as a picture that a telephone's camera reads.

use qrcode::{QrCode, render::svg};

use crate::api::Notice;

/// Smallest side in pixels of the picture; it scales.
const SIDE: u32 = 256;

/// The QR code of a text, black on white whatever the theme: readers expect it.
pub fn svg(text: &str) -> Result<String, Notice> {
    let code = QrCode::new(text).map_err(|error| {
        Notice::new("qr-code", format!("The link does not fit into a QR code ({error})."), "Send the link as text.")
    })?;
    Ok(code.render::<svg::Color>().min_dimensions(SIDE, SIDE).build())
}
