package openrtb

// Places of categories: bits 0-1 the list, bit 2 set for app.
const (
	ofCat = iota
	ofSectionCat
	ofPageCat
	ofContent
	ofApp
)

// readInventory reads the categories of site (0) or app (1), at i.
func (r *Request) readInventory(i int, name string, which int) int {
	p := &r.read
	of := uint8(which * ofApp)
	r.forget(of, ofApp)
	r.catTax[which], r.catTax[2+which] = 0, 0
	present := &p.site
	if which == 1 {
		present = &p.app
	}
	*present = false
	ok, i := p.is(i, '{', name, "an object")
	if !ok {
		return i
	}
	*present = true
	at := in(name, false)
	p.at = at
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				p.at = top
				return i
			}
			i = p.skip(i)
		case "cat":
			i = r.readCategories(i, "cat", of)
		case "sectioncat":
			i = r.readCategories(i, "sectioncat", of|ofSectionCat)
		case "pagecat":
			i = r.readCategories(i, "pagecat", of|ofPageCat)
		case "cattax":
			i = r.readCatTax(i, which)
		case "content":
			i = r.readContent(i, name, of, 2+which)
			p.at = at
		default:
			i = p.skip(i)
		}
	}
}

// readContent reads the categories of what is on the page or in the app.
func (r *Request) readContent(i int, of string, place uint8, tax int) int {
	p := &r.read
	r.forget(place|ofContent, ofApp|ofContent)
	r.catTax[tax] = 0
	ok, i := p.is(i, '{', "content", "an object")
	if !ok {
		return i
	}
	if p.at = in("site.content", false); of == "app" {
		p.at = in("app.content", false)
	}
	for key, i := p.first(i); ; key, i = p.next(i) {
		switch string(key) {
		case "":
			if key == nil {
				return i
			}
			i = p.skip(i)
		case "cat":
			i = r.readCategories(i, "cat", place|ofContent)
		case "cattax":
			i = r.readCatTax(i, tax)
		default:
			i = p.skip(i)
		}
	}
}

func (r *Request) readCatTax(i, slot int) int {
	n, _, i := r.read.integer(i, "cattax", 0, 1<<31-1)
	r.catTax[slot] = int32(n)
	return i
}

// readCategories reads a list of categories.
func (r *Request) readCategories(i int, name string, of uint8) int {
	p := &r.read
	r.forget(of, ofApp|ofContent)
	ok, i := p.is(i, '[', name, "a list of strings")
	if !ok {
		return i
	}
	for i, more := p.element(i, true); ; i, more = p.element(i, false) {
		if !more {
			return i
		}
		var category []byte
		category, i = p.text(i, name, MaxName)
		if len(category) == 0 {
			continue
		}
		if len(r.Categories) == MaxCategories {
			p.fault(name, "more than 64 categories of site, app and content")
			return p.rest(i)
		}
		r.Categories = append(r.Categories, category)
		r.categoryOf = append(r.categoryOf, of)
	}
}

// rest skips the list that is being read, from after one of its values.
func (p *reader) rest(i int) int {
	for i, more := p.element(i, false); ; i, more = p.element(i, false) {
		if !more {
			return i
		}
		i = p.skip(i)
	}
}

// Taxonomy is the taxonomy of the i-th of Categories: the cattax of the object that it
// came from, since each of site, app and their content has its own (OpenRTB 2.6); 0 when
// absent.
func (r *Request) Taxonomy(i int) int {
	of := r.categoryOf[i]
	slot := of / ofApp
	if of&ofContent == ofContent {
		slot += 2
	}
	return int(r.catTax[slot])
}

// forget drops the categories of a list that comes again, or, by the mask, of a whole
// object.
func (r *Request) forget(of, mask uint8) {
	kept := 0
	for i, place := range r.categoryOf {
		if place&mask == of {
			continue
		}
		r.Categories[kept], r.categoryOf[kept] = r.Categories[i], place
		kept++
	}
	r.Categories, r.categoryOf = r.Categories[:kept], r.categoryOf[:kept]
}
