package proto

import "testing"

func TestValidEmoji(t *testing.T) {
	for _, s := range []string{"🔥", "❤", "❤️", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷", "5️⃣", "#️⃣", "*⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩🏽‍❤️‍💋‍👨🏿", "©️", "🫠", "⭐", "🧑‍🚀"} {
		if !ValidEmoji(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "a", "5", "🔥🔥", "🔥 ", "name:123", "<:name:1>", "🇫", "🇫🇷🇫", "5️", "‍🔥", "🔥‍", "️", "\xff", "🏴󠁧", "/", "%F0"} {
		if ValidEmoji(s) {
			t.Errorf("%q is taken", s)
		}
	}
	long := "👨"
	for len(long) < 100 {
		long += "‍👨"
	}
	if ValidEmoji(long) {
		t.Error("an emoji without end is taken")
	}
}
