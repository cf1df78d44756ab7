//! What an account tells of its owner.

/// Text of at most `MAX` characters, kept as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileText<const MAX: usize>(Box<str>);

impl<const MAX: usize> ProfileText<MAX> {
    /// `None` where the text is too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.chars().count() <= MAX).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Empty text never overwrites.
    fn overwrite_with(&mut self, newer: &Self) {
        if !newer.0.is_empty() {
            self.0.clone_from(&newer.0);
        }
    }
}

/// An avatar: an http(s) URL, a path on the shop's attachment host, or nothing; at most 255 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Avatar(ProfileText<255>);

impl Avatar {
    /// `None` where the text is too long. Text that is neither a URL nor a path counts as nothing.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let kept = ProfileText::new(text)?;
        let usable = text.starts_with('/') || has_scheme(text, "http://") || has_scheme(text, "https://");
        Some(if usable { Self(kept) } else { Self::default() })
    }

    /// The URL, the path, or the empty text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is a path, to be answered under the attachment host.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.as_str().starts_with('/')
    }
}

fn has_scheme(text: &str, scheme: &str) -> bool {
    text.len() > scheme.len() && text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

/// A gender as the interface numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gender {
    /// 0, 保密.
    #[default]
    Undisclosed,
    /// 1, 女.
    Female,
    /// 2, 男.
    Male,
}

impl Gender {
    /// Reads `0`, `1` or `2`; anything else is undisclosed.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "1" => Self::Female,
            "2" => Self::Male,
            _ => Self::Undisclosed,
        }
    }

    /// The interface's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Undisclosed => 0,
            Self::Female => 1,
            Self::Male => 2,
        }
    }
}

/// Nickname, avatar, gender and place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// At most 60 characters.
    pub nickname: ProfileText<60>,
    /// At most 255 characters.
    pub avatar: Avatar,
    /// Undisclosed unless told.
    pub gender: Gender,
    /// At most 60 characters.
    pub province: ProfileText<60>,
    /// At most 60 characters.
    pub city: ProfileText<60>,
    /// At most 60 characters.
    pub county: ProfileText<60>,
}

impl Profile {
    /// Takes over what is told anew; empty text and an undisclosed gender never overwrite.
    pub fn overwrite_with(&mut self, newer: &Self) {
        self.nickname.overwrite_with(&newer.nickname);
        self.avatar.0.overwrite_with(&newer.avatar.0);
        self.province.overwrite_with(&newer.province);
        self.city.overwrite_with(&newer.city);
        self.county.overwrite_with(&newer.county);
        if newer.gender != Gender::Undisclosed {
            self.gender = newer.gender;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Avatar, Gender, Profile, ProfileText};

    #[test]
    fn avatars_are_urls_or_paths_as_sent() {
        for kept in ["https://x/a.png?a=1&b=2", "HTTP://x/a", "/static/x.png", "https://x/default-user-avatar.jpg"] {
            assert_eq!(Avatar::new(kept).unwrap().as_str(), kept);
        }
        for dropped in ["javascript:alert(1)", "data:image/png;base64,AAAA", "<img src=x>", "a.png", "http://", ""] {
            assert_eq!(Avatar::new(dropped).unwrap().as_str(), "", "{dropped}");
        }
        assert!(Avatar::new(&format!("/{}", "a".repeat(255))).is_none());
    }

    #[test]
    fn limits_count_characters_not_bytes() {
        assert!(ProfileText::<60>::new(&"名".repeat(60)).is_some());
        assert!(ProfileText::<60>::new(&"名".repeat(61)).is_none());
    }

    #[test]
    fn genders_are_three() {
        let read = ["0", "1", "2", "3", "1.9", "256", "true", ""].map(|text| Gender::from_text(text).number());
        assert_eq!(read, [0, 1, 2, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn empty_never_overwrites() {
        let told = Profile { nickname: ProfileText::new("old").unwrap(), gender: Gender::Male, ..Profile::default() };
        let mut profile = told.clone();
        profile.overwrite_with(&Profile::default());
        assert_eq!(profile, told);
        profile.overwrite_with(&Profile { gender: Gender::Female, ..Profile::default() });
        assert_eq!((profile.nickname.as_str(), profile.gender), ("old", Gender::Female));
    }
}
