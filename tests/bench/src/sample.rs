//! Figures of many values.

/// The value below which `share` (0 to 1) of the values lie; none of nothing.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len() as f64 - 1.0) * share).round().max(0.0) as usize;
    sorted.get(index).copied()
}

/// The value in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 0.5)
}

/// The mean; none where there are no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The largest of what is there.
pub fn largest(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    values.into_iter().flatten().max_by(f64::total_cmp)
}

/// The smallest of what is there.
pub fn smallest(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    values.into_iter().flatten().min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_few_and_many() {
        assert_eq!((median(&[]), mean(&[]), largest([None, None])), (None, None, None));
        assert_eq!(mean(&[1.0, 4.0]), Some(2.5));
        let many: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!((median(&many), percentile(&many, 0.95)), (Some(50.0), Some(95.0)));
        let some = [Some(1.0), None, Some(2.0)];
        assert_eq!((largest(some), smallest(some)), (Some(2.0), Some(1.0)));
    }
}
