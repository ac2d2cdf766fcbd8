package reads

// resourceRow is one line of the catalogue.
type resourceRow struct {
	Provider   string   `json:"provider"`
	Resource   string   `json:"resource"`
	Filters    string   `json:"filters,omitempty"`
	About      string   `json:"about"`
	Operations []string `json:"operations"`
}

func catalogueColumns() []Column {
	return []Column{{Title: "PROVIDER", Field: "provider"}, {Title: "RESOURCE", Field: "resource"},
		{Title: "WHAT", Field: "about"}, {Title: "FILTERS", Field: "filters"},
		{Title: "OPERATIONS", Field: "operations", Wide: true}}
}

// catalogue lists the resources of a provider.
func catalogue(provider string) Rows {
	return func(yield func(any, error) bool) {
		for _, r := range Of(provider) {
			if !yield(resourceRow{r.Provider, r.Name, r.Usage(), r.About, r.Ops}, nil) {
				return
			}
		}
	}
}
