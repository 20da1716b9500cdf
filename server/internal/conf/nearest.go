package conf

// Nearest returns the known text that is closest to got by edit distance, or ""
// when none is near enough to be what was meant.
func Nearest(got string, known []string) string {
	best, limit := "", max(2, len(got)/3)+1
	for _, k := range known {
		if d := distance(got, k, limit); d < limit {
			best, limit = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b, or limit when it is not below
// it.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
			least = min(least, cost)
		}
		if least >= limit {
			return limit
		}
	}
	return min(row[len(b)], limit)
}
