package admin

import (
	"context"
	"time"
)

// A Concern is something that the admin should know and can mend.
type Concern struct {
	Key   string    `json:"key"`            // what it is about: "blocklist zen.example"
	Text  string    `json:"text"`           // one sentence
	Cure  string    `json:"cure,omitempty"` // the path of the page that helps
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"` // the last time
}

// Concerns returns what the admin should know, the newest first.
func (a *Admin) Concerns(ctx context.Context) ([]Concern, error) {
	concerns, err := a.Store.Concerns(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Concern, len(concerns))
	for i, c := range concerns {
		list[i] = Concern(c)
	}
	return list, nil
}
