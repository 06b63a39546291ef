package web

// A changePage is a form that changes one thing of a list.
type changePage struct {
	Title    string
	Back     string // the page to return to
	BackText string
	About    string // what the change does, in a sentence
	Mistake  string
	Action   string
	Hidden   []hiddenField
	Fields   []formField
	Button   string
}

// A formField is one field of a form. With Choices it is chosen from them.
type formField struct {
	Name, Label  string
	Hint         string // beside the label
	Help         string // below the field
	Value        string
	Placeholder  string
	Password     bool
	Choices      []choice
	Longest      int // octets
	CannotBeNone bool
}

func (v *visit) change(page changePage, mistake error) error {
	return v.showForm("change", page.Title, &page, &page.Mistake, mistake)
}
