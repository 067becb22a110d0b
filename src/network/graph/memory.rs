//! How much memory a forward pass takes.

use super::{Graph, Network, Op};

/// Side that memory is counted at.
const SIDE: usize = 96;

impl Graph {
    /// Bytes that the values of a forward pass take at its peak, for each pixel of the input: of all values that are
    /// still needed while one is made, by the passes that are really run. With room for what an operator holds beside its
    /// result: a padded or transformed copy of its input.
    pub fn bytes_a_pixel(&self) -> u64 {
        let Ok(shapes) = self.shapes([SIDE, SIDE]) else { return u64::MAX };
        let bytes = |id: usize| shapes[id].samples() * size_of::<f32>() as u64;
        let mut alive = bytes(0);
        let mut peak = alive;
        for super::fuse::Step { output, inputs, dead, .. } in Network::result_steps(self) {
            let beside = match self.node(output).op {
                Op::Concat | Op::Conv(_) => 0,
                _ => inputs.iter().map(|&input| bytes(input)).max().unwrap_or(0) / 4,
            };
            alive += bytes(output);
            peak = peak.max(alive + beside);
            alive -= dead.iter().map(|&id| bytes(id)).sum::<u64>();
        }
        // What the allocator has not given back.
        (peak + peak / 4).div_ceil((SIDE * SIDE) as u64)
    }

    /// Bytes of the largest single value for each pixel of the input: what has to fit into a buffer of a device.
    pub fn widest_bytes_a_pixel(&self) -> u64 {
        let Ok(shapes) = self.shapes([SIDE, SIDE]) else { return u64::MAX };
        let plan = Network::result_steps(self);
        let widest = plan.iter().map(|step| shapes[step.output].samples()).max().unwrap_or(1);
        (widest * size_of::<f32>() as u64).div_ceil((SIDE * SIDE) as u64)
    }
}
