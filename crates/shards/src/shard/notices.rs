//! What a client was told, and is yet to be told, beside events and where it is: of how long it may
//! follow what, and of outages. Bits of one byte.

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
    /// It was told of an outage, and not that it is over.
    const OUTAGE: u8 = 16;
    /// It is to be told of one, or that it is over.
    const OWES_OUTAGE: u8 = 32;

    const OWED: u8 = Self::OWES_RENEWAL | Self::OWES_REST | Self::OWES_OUTAGE;

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
        self.0 &= Self::OWES_REST | Self::OUTAGE | Self::OWES_OUTAGE;
    }

    /// It is to be told what is left of what it follows.
    pub(super) fn on_narrowed(&mut self) {
        self.0 |= Self::OWES_REST;
    }

    /// There is an outage, or none: it is to be told, unless that is what it knows. Returns whether it
    /// is.
    pub(super) fn owe_outage(&mut self, now: Service) -> bool {
        let is_owed = self.service() != now;
        self.0 &= !Self::OWES_OUTAGE;
        self.0 |= if is_owed { Self::OWES_OUTAGE } else { 0 };
        is_owed
    }

    /// It is told of an outage now, or that there is none; returns whether that is news to it.
    pub(super) fn tell_outage(&mut self, now: Service) -> bool {
        let is_news = self.service() != now;
        match now {
            Service::Good => self.0 &= !Self::OUTAGE,
            Service::Degraded => self.0 |= Self::OUTAGE,
        }
        is_news
    }

    /// How the server is, as far as it was told.
    fn service(self) -> Service {
        if self.0 & Self::OUTAGE == 0 { Service::Good } else { Service::Degraded }
    }

    /// Whether there is something to tell whoever is so far: of an outage nobody is told who is yet to
    /// be told that they are live.
    pub(super) fn is_owed(self, progress: Progress) -> bool {
        self.0 & Self::owed(progress) != 0
    }

    fn owed(progress: Progress) -> u8 {
        match progress {
            Progress::Live => Self::OWED,
            Progress::Behind => Self::OWED & !Self::OWES_OUTAGE,
        }
    }

    /// What there is to tell, which is told now.
    pub(super) fn take_owed(&mut self, progress: Progress) -> Owed {
        let is_set = |notice| self.0 & Self::owed(progress) & notice != 0;
        let owed = Owed {
            renewal: is_set(Self::OWES_RENEWAL),
            rest: is_set(Self::OWES_REST),
            outage: is_set(Self::OWES_OUTAGE),
        };
        self.0 &= !Self::owed(progress);
        owed
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It catches up.
    Behind,
    /// It was told `ready`.
    Live,
}

/// How the server is, to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// It does all that it does.
    Good,
    /// There is an outage.
    Degraded,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    /// To renew what it has shown.
    pub(super) renewal: bool,
    /// What is left of what it follows.
    pub(super) rest: bool,
    /// Of an outage, or that it is over.
    pub(super) outage: bool,
}
