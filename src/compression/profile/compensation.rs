//! Channels predicted from others: which can go, and what their consumers have to become.
//!
//! If a channel of a prunable layer is nearly a linear combination of others, its consumer can do without it: `x_d ~ B x_kept`
//! turns `W_d x_d` into `W_d B x_kept`, tap by tap, because a convolution is linear and shifts with its input. All that
//! is needed is the second moments of the channels, [C, C].

use dualres_network::Weight;
use nalgebra::DMatrix;

/// Share of the mean second moment that is added to the diagonal: keeps predictions of nearly dead channels finite.
const RIDGE: f64 = 1e-4;

/// Second moments with their ridge.
pub(super) fn regularised(moments: &[f32], channels: usize) -> DMatrix<f64> {
    let mut matrix = DMatrix::from_fn(channels, channels, |i, j| f64::from(moments[i * channels + j]));
    let ridge = RIDGE * matrix.trace() / channels.max(1) as f64 + 1e-9;
    for i in 0..channels {
        matrix[(i, i)] += ridge;
    }
    matrix
}

/// The consumers' kernels as a matrix [C, sum of O * K * K].
fn all_by_channel(kernels: &[Weight]) -> DMatrix<f64> {
    let parts: Vec<DMatrix<f64>> = kernels.iter().map(by_channel).collect();
    let columns = parts.iter().map(DMatrix::ncols).sum();
    let mut all = DMatrix::zeros(kernels.first().map_or(0, |kernel| kernel.shape[1]), columns);
    let mut at = 0;
    for part in parts {
        all.columns_mut(at, part.ncols()).copy_from(&part);
        at += part.ncols();
    }
    all
}

/// A consumer's kernel as a matrix [C, O * K * K].
fn by_channel(kernel: &Weight) -> DMatrix<f64> {
    let (outputs, channels) = (kernel.shape[0], kernel.shape[1]);
    let taps = kernel.shape[2] * kernel.shape[3];
    DMatrix::from_fn(channels, outputs * taps, |channel, column| {
        f64::from(kernel.values[(column / taps * channels + channel) * taps + column % taps])
    })
}

fn submatrix(matrix: &DMatrix<f64>, rows: &[usize], columns: &[usize]) -> DMatrix<f64> {
    DMatrix::from_fn(rows.len(), columns.len(), |i, j| matrix[(rows[i], columns[j])])
}

/// Channels from the most to the least needed: one after the other that costs the consumer's output least is taken
/// out, its part given to those that stay. The cost of a channel is `||W_j||^2 / (G^-1)_jj`, what cannot be predicted
/// of it times what is made of it.
pub(super) fn order(moments: &[f32], kernels: &[Weight]) -> Vec<usize> {
    let channels = kernels.first().map_or(0, |kernel| kernel.shape[1]);
    let moments = regularised(moments, channels);
    let mut weights = all_by_channel(kernels);
    let mut left: Vec<usize> = (0..channels).collect();
    let mut gone = Vec::with_capacity(channels);
    let Some(mut inverse) = moments.try_inverse() else {
        // A positive definite matrix has an inverse; moments that are no numbers have none and tell nothing.
        return left;
    };
    while left.len() > 1 {
        let cost = |position: usize| {
            let norm = weights.row(position).norm_squared();
            norm / inverse[(position, position)]
        };
        let out = (0..left.len()).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or_default();
        // What the channel did is done by the others: W_i -= (G^-1)_ij / (G^-1)_jj W_j.
        let pivot = inverse[(out, out)];
        let row = weights.row(out).clone_owned();
        for position in 0..left.len() {
            let factor = inverse[(position, out)] / pivot;
            if position != out && factor != 0.0 {
                let mut target = weights.row_mut(position);
                target -= &row * factor;
            }
        }
        // The inverse of the moments without the channel.
        let column = inverse.column(out).clone_owned();
        inverse -= &column * column.transpose() / pivot;
        inverse = inverse.remove_row(out).remove_column(out);
        weights = weights.remove_row(out);
        gone.push(left.remove(out));
    }
    left.extend(gone.into_iter().rev());
    left
}

/// The consumer's kernel [O, K', K, K] for the channels `kept`, the part of the others predicted from them.
pub(super) fn folded(moments: &[f32], kernel: &Weight, kept: &[usize]) -> Weight {
    let (outputs, channels) = (kernel.shape[0], kernel.shape[1]);
    let taps = kernel.shape[2] * kernel.shape[3];
    let gone: Vec<usize> = (0..channels).filter(|channel| !kept.contains(channel)).collect();
    let moments = regularised(moments, channels);
    let weights = by_channel(kernel);
    let all: Vec<usize> = (0..weights.ncols()).collect();
    let mut result = submatrix(&weights, kept, &all);
    let prediction = submatrix(&moments, kept, kept).cholesky();
    if let Some(cholesky) = prediction {
        let from_kept = cholesky.solve(&submatrix(&moments, kept, &gone));
        result += from_kept * submatrix(&weights, &gone, &all);
    }
    let mut values = vec![0.0_f32; outputs * kept.len() * taps];
    for (position, row) in result.row_iter().enumerate() {
        for (column, &value) in row.iter().enumerate() {
            values[(column / taps * kept.len() + position) * taps + column % taps] = value as f32;
        }
    }
    Weight { shape: vec![outputs, kept.len(), kernel.shape[2], kernel.shape[3]], values }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Channel 1 is twice channel 0 and channel 3 is channel 0 plus channel 2: two channels say everything.
    fn example() -> (Vec<f32>, Weight) {
        let samples: Vec<[f32; 4]> = (0..50)
            .map(|i| {
                let (a, b) = ((i as f32 * 0.7).sin() + 1.0, (i as f32 * 1.3).cos());
                [a, 2.0 * a, b, a + b]
            })
            .collect();
        let moment = |i: usize, j: usize| samples.iter().map(|s| s[i] * s[j]).sum::<f32>();
        let moments = (0..16).map(|index| moment(index / 4, index % 4)).collect();
        let values = (0..8).map(|index| 0.3 + 0.1 * index as f32).collect();
        (moments, Weight { shape: vec![2, 4, 1, 1], values })
    }

    #[test]
    fn what_is_predicted_exactly_is_lost_without_a_trace() {
        let (moments, kernel) = example();
        let order = order(&moments, std::slice::from_ref(&kernel));
        let mut kept = order[..2].to_vec();
        kept.sort_unstable();
        let folded = folded(&moments, &kernel, &kept);
        for i in 0..20 {
            let (a, b) = ((i as f32 * 0.9).cos(), (i as f32 * 0.4).sin());
            let x = [a, 2.0 * a, b, a + b];
            for output in 0..2 {
                let expected: f32 = (0..4).map(|c| kernel.values[output * 4 + c] * x[c]).sum();
                let found: f32 = (0..2).map(|c| folded.values[output * 2 + c] * x[kept[c]]).sum();
                assert!((expected - found).abs() < 2e-3 * (1.0 + expected.abs()), "{expected} {found}");
            }
        }
    }

    #[test]
    fn an_order_names_every_channel_once() {
        let (moments, kernel) = example();
        let mut order = order(&moments, std::slice::from_ref(&kernel));
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn all_channels_kept_leave_the_kernel_as_it_is() {
        let (moments, kernel) = example();
        assert_eq!(folded(&moments, &kernel, &[0, 1, 2, 3]), kernel);
    }
}
