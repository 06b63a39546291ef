package web

import (
	"maps"
	"net/url"
	"strconv"
	"strings"

	"postroom/store"
)

// pageSize is how many rows of a list one page has: it keeps the page small.
const pageSize = 50

// A listing is the part of a long list that is shown, and the way to the rest.
type listing struct {
	Path     string
	Filter   string // what the rows must contain
	Total    int64  // rows that contain it
	All      int64  // rows there are
	From, To int64  // which rows are shown, counted from 1
	Previous string // URLs, empty where there is no such page
	Next     string
	query    url.Values
	sort     string // the column that it is ordered by, empty for the list's own order
	down     bool   // from the largest on
}

// listed begins a list that the store reads in parts, and says which part the
// request asks for.
func (v *visit) listed(path string) (listing, store.ListQuery) {
	query := v.r.URL.Query()
	l := listing{Path: path, Filter: strings.TrimSpace(query.Get("q")), query: query, sort: query.Get("sort")}
	l.down = downFirst[l.sort]
	if way := query.Get("dir"); way != "" {
		l.down = way == "down"
	}
	page, err := strconv.ParseInt(query.Get("page"), 10, 32)
	if err != nil || page < 1 {
		page = 1
	}
	return l, store.ListQuery{
		Text: l.Filter, Status: query.Get("status"), Sort: l.sort, Descending: l.down, Offset: (page - 1) * pageSize, Limit: pageSize,
	}
}

// downFirst are the columns of which one wants to see the largest first.
var downFirst = map[string]bool{"used": true, "full": true, "messages": true, "accounts": true, "aliases": true, "created": true}

// fillList completes a list with the part of it that the store has read.
func fillList[T any](l *listing, part store.ListPart[T]) {
	l.All, l.Total = part.All, part.Matching
	l.From, l.To = part.Offset+1, part.Offset+int64(len(part.Rows))
	page := part.Offset/pageSize + 1
	if page > 1 {
		l.Previous = l.url(int(page - 1))
	}
	if l.To < l.Total {
		l.Next = l.url(int(page + 1))
	}
}

// A column is the head of a column that the list can be ordered by.
type column struct {
	Text, URL string
	Sort      string // for aria-sort, empty if it is ordered by another one
}

// Column returns the head of a column, whose link orders the list by it, or the
// other way round.
func (l listing) Column(name, text string) column {
	query := maps.Clone(l.query)
	query.Del("page")
	query.Del("dir")
	query.Set("sort", name)
	c := column{Text: text}
	down := downFirst[name]
	if l.sort == name {
		c.Sort, down = "ascending", !l.down
		if l.down {
			c.Sort = "descending"
		}
	}
	if down != downFirst[name] {
		query.Set("dir", map[bool]string{true: "down", false: "up"}[down])
	}
	c.URL = l.Path + "?" + query.Encode()
	return c
}

// Kept are the fields of the query that a new filter leaves as they are.
func (l listing) Kept() (kept []hiddenField) {
	for _, name := range []string{"sort", "dir", "status"} {
		if value := l.query.Get(name); value != "" {
			kept = append(kept, hiddenField{name, value})
		}
	}
	return kept
}

// part returns the rows of all that the request's query asks for: those that
// contain the filter, one page of them.
func part[T any](v *visit, all []T, text func(T) string) ([]T, listing) {
	return partAt(v, v.r.URL.Path, all, text)
}

// partAt is part for a list that belongs to the page at path.
func partAt[T any](v *visit, path string, all []T, text func(T) string) ([]T, listing) {
	query := v.r.URL.Query()
	l := listing{Path: path, Filter: strings.TrimSpace(query.Get("q")), All: int64(len(all)), query: query}
	rows := all
	if l.Filter != "" {
		rows = nil
		for _, row := range all {
			if strings.Contains(strings.ToLower(text(row)), strings.ToLower(l.Filter)) {
				rows = append(rows, row)
			}
		}
	}
	return paged(rows, pageSize, &l), l
}

// paged returns the rows of the page that the listing's query asks for.
func paged[T any](rows []T, size int, l *listing) []T {
	page, err := strconv.Atoi(l.query.Get("page"))
	last := max(0, (len(rows)-1)/size)
	if err != nil || page < 1 {
		page = 1
	}
	page = min(page-1, last)
	from, to := page*size, min((page+1)*size, len(rows))
	l.Total, l.From, l.To = int64(len(rows)), int64(from+1), int64(to)
	if page > 0 {
		l.Previous = l.url(page)
	}
	if page < last {
		l.Next = l.url(page + 2)
	}
	return rows[from:to]
}

// Long reports whether the list is worth a filter.
func (l listing) Long() bool { return l.All > 12 || l.Filter != "" }

func (l listing) url(page int) string {
	query := maps.Clone(l.query)
	query.Set("page", strconv.Itoa(page))
	return l.Path + "?" + query.Encode()
}
