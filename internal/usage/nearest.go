package usage

import "strings"

// Nearest returns the name that a misspelt one probably stands for, "" if none is near.
func Nearest(name string, names []string) string {
	best, least := "", 3 // three or more typos make another word
	for _, candidate := range names {
		if d := distance(plain(name), plain(candidate)); d < least && 2*d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// plain removes differences in spelling: customId, Custom-ID, custom id.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
}

// distance is the number of single characters to insert, delete or replace.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	if n := len(from) - len(to); n > 3 || n < -3 {
		return 4 // far enough, and a name may be long
	}
	row := make([]int, len(to)+1)
	for i := range row {
		row[i] = i
	}
	for i, f := range from {
		diagonal := row[0]
		row[0] = i + 1
		for k, t := range to {
			cost := diagonal
			if f != t {
				cost++
			}
			diagonal = row[k+1]
			row[k+1] = min(cost, row[k]+1, row[k+1]+1)
		}
	}
	return row[len(to)]
}
