//! Small pictures out of letters.

/// A line of bars for values from 0 to `most`; a value that is missing leaves a gap. Where there are more values than
/// `width`, the last one of each share of them is drawn.
pub(crate) fn sparkline(values: &[Option<i32>], most: i32, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = values.len().min(width);
    let bar = |value: i32| {
        let step = i64::from(value.clamp(0, most)) * 8 / i64::from(most.max(1));
        BARS[usize::try_from(step).unwrap_or(0).min(7)]
    };
    (1..=columns).map(|column| values[column * values.len() / columns - 1].map_or(' ', bar)).collect()
}

/// How many cells of a bar of `width` each part of a whole gets: its share, the remainder to the largest fractions.
pub(crate) fn cells(parts: &[i64], width: usize) -> Vec<usize> {
    let whole: i64 = parts.iter().sum();
    if whole <= 0 {
        return vec![0; parts.len()];
    }
    let width = i64::try_from(width).unwrap_or(i64::MAX);
    let mut given: Vec<i64> = parts.iter().map(|part| part * width / whole).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(parts[*index] * width % whole));
    let left = width - given.iter().sum::<i64>();
    for index in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        given[index] += 1;
    }
    given.into_iter().map(|cells| usize::try_from(cells).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_no_low_value() {
        assert_eq!(sparkline(&[Some(0), None, Some(50_000), Some(100_000)], 100_000, 60), "▁ ▅█");
        assert_eq!(sparkline(&[], 100_000, 60), "");
    }

    #[test]
    fn many_values_are_drawn_by_the_last_of_each_share() {
        let values: Vec<Option<i32>> = (0..100).map(|value| Some(value * 1000)).collect();
        let line = sparkline(&values, 100_000, 10);
        assert_eq!(line.chars().count(), 10);
        assert_eq!(line.chars().last(), Some('█'));
    }

    #[test]
    fn a_bar_is_filled_to_its_last_cell() {
        assert_eq!(cells(&[1, 1, 1], 10), [4, 3, 3]);
        assert_eq!(cells(&[0, 7], 10), [0, 10]);
        assert_eq!(cells(&[0, 0], 10), [0, 0]);
    }
}
