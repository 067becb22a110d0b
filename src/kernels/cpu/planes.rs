//! The values that a convolution reads.

/// Values [N, C, H, W] whose channels lie in one tensor, or in several one after the other: a concatenation that is never
/// written.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    shape: [usize; 4],
    /// The first channel that counts.
    first: usize,
    parts: Parts<'a>,
}

#[derive(Clone, Copy)]
enum Parts<'a> {
    /// With its channels.
    One(&'a [f32], usize),
    Several(&'a [(&'a [f32], usize)]),
}

impl<'a> Planes<'a> {
    /// All of one tensor.
    ///
    /// # Panics
    /// If it has not the samples of its shape.
    pub(crate) fn one(samples: &'a [f32], shape: [usize; 4]) -> Self {
        assert_eq!(samples.len(), shape.iter().product::<usize>(), "input has its shape");
        Self { shape, first: 0, parts: Parts::One(samples, shape[1]) }
    }

    /// Of several tensors, each with its number of channels.
    ///
    /// # Panics
    /// If one has not the samples of its shape.
    pub(crate) fn several(parts: &'a [(&'a [f32], usize)], [n, h, w]: [usize; 3]) -> Self {
        assert!(
            parts.iter().all(|(samples, channels)| samples.len() == n * channels * h * w),
            "inputs have their shapes"
        );
        let channels = parts.iter().map(|(_, channels)| channels).sum();
        Self { shape: [n, channels, h, w], first: 0, parts: Parts::Several(parts) }
    }

    /// Some of the channels.
    pub(crate) fn narrow(self, start: usize, count: usize) -> Self {
        let [n, channels, h, w] = self.shape;
        assert!(start + count <= channels, "channels that there are");
        Self { shape: [n, count, h, w], first: self.first + start, ..self }
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// A channel of a picture, [H, W].
    pub(crate) fn plane(&self, picture: usize, channel: usize) -> &'a [f32] {
        let [_, _, h, w] = self.shape;
        let channel = self.first + channel;
        let within = |samples: &'a [f32], channels: usize, channel: usize| {
            &samples[(picture * channels + channel) * h * w..][..h * w]
        };
        match self.parts {
            Parts::One(samples, channels) => within(samples, channels, channel),
            Parts::Several(parts) => {
                let mut channel = channel;
                for &(samples, channels) in parts {
                    if channel < channels {
                        return within(samples, channels, channel);
                    }
                    channel -= channels;
                }
                unreachable!("a channel that one of the parts has")
            }
        }
    }
}
