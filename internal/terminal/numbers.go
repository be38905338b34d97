package terminal

import (
	"fmt"
	"strconv"
	"time"

	"github.com/cozeq/cozeq/internal/flags"
)

// Count is a number with its thousands apart: 1,234,567.
func Count(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Rounded is a duration as people say it: 340ms, 4.2s, 3m20s, 1h5m.
func Rounded(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return flags.Format(d.Round(time.Second))
	}
	return flags.Format(d.Round(time.Minute))
}

func Seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}

func Questions(n int) string {
	if n == 1 {
		return "1 question"
	}
	return Count(n) + " questions"
}

func Bytes(n uint64) string {
	const unit = 1 << 10
	if n < unit<<10 {
		return fmt.Sprintf("%d kB", n/unit)
	}
	size, names := float64(n)/(unit<<10), []string{"MB", "GB", "TB", "PB"}
	i := 0
	for size >= unit && i < len(names)-1 {
		size, i = size/unit, i+1
	}
	return fmt.Sprintf("%.1f %s", size, names[i])
}

// Mebibytes is a size as people say it: 312 B, 4.2 KiB, 18 MiB, 1.5 GiB.
func Mebibytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 3 {
		value /= unit
		prefix++
	}
	format := "%.0f %ciB"
	if value < 10 {
		format = "%.1f %ciB"
	}
	return fmt.Sprintf(format, value, "KMGT"[prefix])
}

func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}
