package policy

import (
	"slices"
	"strconv"
	"strings"
)

// CategoriesKnown reports whether categories of a request with this cattax
// (OpenRTB's list of taxonomies) are IAB content categories: Content Taxonomy 1.0,
// 2.0 to 2.2, 3.0 and 3.1, and those of a request that does not say. Their ids do
// not collide: 1.0 has IAB7-39, the others 386 or, new in 2.2 and 3.x, v9i3On.
// Taxonomies of products, of audiences and of vendors say nothing about content.
func CategoriesKnown(cattax int) bool {
	return slices.Contains([]int{0, 1, 2, 5, 6, 7, 9}, cattax)
}

// branches are the categories of Content Taxonomy 2.2 that have others below them,
// with the last of those: ids 1 to 698 are numbered from top to bottom, so that
// what is below one follows it. (IAB Tech Lab, Content Taxonomy 2.2.) In 3.x some
// of them stand elsewhere; what is below them is the same.
const branches = "1-41 2-15 16-24 37-40 42-51 52-122 53-79 63-71 74-75 80-89 90-122 123-131 127-129 132-149 " +
	"137-141 139-140 143-144 150-185 163-173 186-200 192-199 201-209 210-222 223-238 225-227 232-237 233-235 " +
	"239-273 248-257 261-263 264-268 269-272 274-285 286-323 287-318 290-293 298-299 302-305 307-308 324-337 " +
	"338-378 339-341 363-368 371-376 379-390 386-389 391-421 393-395 398-404 405-409 410-414 417-421 422-431 " +
	"432-440 441-452 453-463 464-472 473-482 483-551 487-490 496-497 498-506 518-519 521-523 527-529 552-595 " +
	"553-559 560-573 561-565 566-572 579-589 580-581 582-588 590-594 596-639 599-631 602-615 619-629 632-637 " +
	"640-652 653-679 655-662 664-679 680-698 685-698"

// lastBelow is the last category below one of Content Taxonomy 2.2.
var lastBelow = func() map[int]int {
	m := map[int]int{}
	for _, branch := range strings.Fields(branches) {
		from, to, _ := strings.Cut(branch, "-")
		id, _ := strconv.Atoi(from)
		m[id], _ = strconv.Atoi(to)
	}
	return m
}()

// Below lists a content category, as cat:386, and those below it in Content
// Taxonomy 2.2, as ids of requests. Of Content Taxonomy 1.0, whose ids tell what
// they are below, it is the category alone: see Above.
func Below(category string) []string {
	id := strings.TrimPrefix(category, "cat:")
	all := []string{id}
	if n, err := strconv.Atoi(id); err == nil && strconv.Itoa(n) == id {
		for below := n + 1; below <= lastBelow[n]; below++ {
			all = append(all, strconv.Itoa(below))
		}
	}
	return all
}

// Above is the category of Content Taxonomy 1.0 that a category is below, IAB7 of
// IAB7-39, or nothing.
func Above(id []byte) []byte {
	if len(id) > 3 && string(id[:3]) == "IAB" {
		for i := 3; i < len(id); i++ {
			if id[i] == '-' {
				return id[:i]
			}
		}
	}
	return nil
}
