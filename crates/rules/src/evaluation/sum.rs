//! Sums and means that lose next to nothing to rounding, whatever the order of magnitude.

/// A sum with what rounding has lost of it: Neumaier's variant of Kahan's summation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn of(first: f64) -> Self {
        Self { sum: first, lost: 0.0 }
    }

    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - sum) + value;
        } else {
            self.lost += (value - sum) + self.sum;
        }
        self.sum = sum;
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.lost
    }

    /// The sum scaled, both parts of it.
    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

/// The mean of values: their sum divided by their number, as long as the sum can be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    /// Once the sum is too large, what is kept is the mean so far.
    is_running: bool,
}

impl Mean {
    pub(crate) fn of(first: f64) -> Self {
        Self { sum: Sum::of(first), count: 1.0, is_running: false }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.is_running {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.is_running = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, lost: self.sum.lost / before };
        }
        let mean = self.sum.sum;
        // An infinite mean stays so, unless the opposite infinity or NaN comes.
        let is_same_infinity = value.is_infinite() && (mean > 0.0) == (value > 0.0);
        if mean.is_infinite() && (is_same_infinity || value.is_finite()) {
            return;
        }
        let mut sum = self.sum.scaled((self.count - 1.0) / self.count);
        sum.add(value / self.count);
        self.sum = sum;
    }

    pub(crate) fn value(self) -> f64 {
        if self.is_running {
            return self.sum.total();
        }
        self.sum.sum / self.count + self.sum.lost / self.count
    }
}
