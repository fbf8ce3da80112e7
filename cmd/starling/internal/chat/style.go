package chat

import (
	"hash/fnv"

	"charm.land/lipgloss/v2"
)

// Colours are those of the terminal's own palette, which its owner has chosen to be readable; without colours (NO_COLOR) weight and marks
// still tell everything.
var (
	plain    = lipgloss.NewStyle()
	dim      = lipgloss.NewStyle().Faint(true)
	bold     = lipgloss.NewStyle().Bold(true)
	accent   = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	good     = lipgloss.NewStyle().Foreground(lipgloss.Green)
	warning  = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad      = lipgloss.NewStyle().Foreground(lipgloss.Red)
	alarm    = lipgloss.NewStyle().Foreground(lipgloss.Yellow).Reverse(true)
	current  = lipgloss.NewStyle().Reverse(true)
	mention  = lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Yellow)
	people   = []lipgloss.Style{named(lipgloss.Cyan), named(lipgloss.Green), named(lipgloss.Magenta), named(lipgloss.Blue), named(lipgloss.Yellow), named(lipgloss.BrightRed)}
	nameOfMe = bold.Underline(true)
)

func named(c interface{ RGBA() (r, g, b, a uint32) }) lipgloss.Style {
	return lipgloss.NewStyle().Bold(true).Foreground(c)
}

// colourOf a name is always the same.
func colourOf(name string) lipgloss.Style {
	h := fnv.New32a()
	h.Write([]byte(name))
	return people[h.Sum32()%uint32(len(people))]
}
