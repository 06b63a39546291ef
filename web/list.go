package web

import (
	"maps"
	"net/url"
	"strconv"
	"strings"
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
