//! What a client was told, and is yet to be told, of how long it may follow what: bits of one byte.

/// Notices of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notices(u8);

impl Notices {
    /// It is to be told to renew what it has shown.
    const OWES_RENEWAL: u8 = 1;
    /// It was told, or is to be.
    const RENEWAL: u8 = 2;
    /// It is to be told what is left of what it follows.
    const OWES_REST: u8 = 4;
    /// What it has shown has ended, which is tolerated for a while.
    const IS_TOLERATED: u8 = 8;

    /// It is to be told to renew what it has shown, once; returns whether it was not yet.
    pub(super) fn ask_for_renewal(&mut self) -> bool {
        let is_new = self.0 & Self::RENEWAL == 0;
        if is_new {
            self.0 |= Self::RENEWAL | Self::OWES_RENEWAL;
        }
        is_new
    }

    /// It is tolerated from now on; returns whether it was not yet.
    pub(super) fn tolerate(&mut self) -> bool {
        let is_new = self.0 & Self::IS_TOLERATED == 0;
        self.0 |= Self::IS_TOLERATED;
        is_new
    }

    /// It has shown something newer.
    pub(super) fn on_renewed(&mut self) {
        self.0 &= Self::OWES_REST;
    }

    /// It is to be told what is left of what it follows.
    pub(super) fn on_narrowed(&mut self) {
        self.0 |= Self::OWES_REST;
    }

    /// Whether there is something to tell.
    pub(super) fn is_owed(self) -> bool {
        self.0 & (Self::OWES_RENEWAL | Self::OWES_REST) != 0
    }

    /// What there is to tell, which is told now.
    pub(super) fn take_owed(&mut self) -> Owed {
        let owed =
            Owed { renewal: self.0 & Self::OWES_RENEWAL != 0, rest: self.0 & Self::OWES_REST != 0 };
        self.0 &= !(Self::OWES_RENEWAL | Self::OWES_REST);
        owed
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    /// To renew what it has shown.
    pub(super) renewal: bool,
    /// What is left of what it follows.
    pub(super) rest: bool,
}
