package internal_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// code is our own code as far as documents speak of it: who calls what, by the types of our own packages. Of the
// others nothing is known, so that nothing has to be built.
type code struct {
	fset     *token.FileSet
	packages map[string]*types.Package // by import path
	info     types.Info                // of all of them
	decls    map[types.Object]*ast.FuncDecl
	docs     map[string]string // docstrings, by name: "okta.Client.GetUser"
	tests    map[string]bool   // "okta.TestOperations"
	errs     []error
}

// newCode reads the packages that documents speak of, and those of ours that they import.
func newCode(t *testing.T) *code {
	t.Helper()
	c := &code{
		fset: token.NewFileSet(), packages: map[string]*types.Package{}, decls: map[types.Object]*ast.FuncDecl{},
		info: types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}},
		docs: map[string]string{}, tests: map[string]bool{},
	}
	for _, path := range []string{"actions", "reads", "apiclient/contract"} {
		_, _ = c.Import(module + "internal/" + path)
	}
	if err := errors.Join(c.errs...); err != nil {
		t.Fatal(err)
	}
	return c
}

// Import implements types.Importer. A package that is not ours is empty.
func (c *code) Import(path string) (*types.Package, error) {
	if p := c.packages[path]; p != nil {
		return p, nil
	}
	dir, ours := strings.CutPrefix(path, module+"internal/")
	if !ours {
		p := types.NewPackage(path, path[strings.LastIndexByte(path, '/')+1:])
		p.MarkComplete()
		c.packages[path] = p
		return p, nil
	}
	files := c.parse(dir)
	known := types.Config{Importer: c, Error: func(error) {}} // what comes from elsewhere is undefined
	p, _ := known.Check(path, c.fset, files, &c.info)
	c.packages[path] = p
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				o := c.info.Defs[f.Name]
				c.decls[o], c.docs[nameOf(o)] = f, f.Doc.Text()
			}
		}
	}
	return p, nil
}

// parse reads the files of a package below internal, and notes the tests.
func (c *code) parse(dir string) []*ast.File {
	names, err := fs.Glob(os.DirFS("."), dir+"/*.go")
	if err != nil || len(names) == 0 {
		c.errs = append(c.errs, errors.New("no package "+dir), err)
	}
	var files []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(c.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			c.errs = append(c.errs, err)
			continue
		}
		if !strings.HasSuffix(name, "_test.go") {
			files = append(files, file)
			continue
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				c.tests[dir[strings.LastIndexByte(dir, '/')+1:]+"."+f.Name.Name] = true
			}
		}
	}
	return files
}

// nameOf is how documents name a function: package, type and method. The initial values of no function are nameless.
func nameOf(o types.Object) string {
	f, ok := o.(*types.Func)
	if !ok || f.Pkg() == nil {
		return ""
	}
	name := f.Name()
	if recv := f.Signature().Recv(); recv != nil {
		typ := recv.Type()
		if p, ok := typ.(*types.Pointer); ok {
			typ = p.Elem()
		}
		if n, ok := typ.(*types.Named); ok {
			name = n.Obj().Name() + "." + name
		}
	}
	return f.Pkg().Name() + "." + name
}

// doc gives a function's docstring.
func (c *code) doc(name string) (string, bool) {
	text, ok := c.docs[name]
	return text, ok
}

// test reports whether there is a test of that name.
func (c *code) test(name string) bool { return c.tests[name] }

// calls lists the exported methods of a provider's client that make a call.
func (c *code) calls(provider string) []string {
	var all []string
	for o, d := range c.decls {
		name := nameOf(o)
		method, ok := strings.CutPrefix(name, provider+".Client.")
		if ok && ast.IsExported(method) && c.reach(d)["apiclient.Client.Do"] {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// kind gives the functions that a kind of action can come to call.
func (c *code) kind(t *testing.T, name string) map[string]bool {
	t.Helper()
	definer := "define"
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' }) {
		if part == "asa" {
			part = "ASA"
		}
		definer += strings.ToUpper(part[:1]) + part[1:]
	}
	start := c.packages[module+"internal/actions"].Scope().Lookup(definer)
	if start == nil {
		t.Fatalf("kind %s is not defined by %s", name, definer)
	}
	return c.reach(c.decls[start])
}

// resource gives the functions that a resource of `keyturn get` can come to call.
func (c *code) resource(t *testing.T, provider, name string) map[string]bool {
	t.Helper()
	var found ast.Node
	for o, d := range c.decls { // oktaResources, and what it is put together from
		if f := nameOf(o); !strings.HasPrefix(f, "reads."+provider) || !strings.HasSuffix(f, "Resources") {
			continue
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok && opens(lit, name) {
				found = lit
			}
			return found == nil
		})
	}
	if found == nil {
		t.Fatalf("no resource %s of %s", name, provider)
	}
	return c.reach(found)
}

// opens reports whether a literal is the resource of that name.
func opens(lit *ast.CompositeLit, name string) bool {
	fields := 0
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return false
		}
		key, _ := kv.Key.(*ast.Ident)
		value, _ := kv.Value.(*ast.BasicLit)
		if key != nil && (key.Name == "open" || key.Name == "Name" && value != nil && value.Value == strconv.Quote(name)) {
			fields++
		}
	}
	return fields == 2
}

// reach gives the functions of ours that are mentioned from start on. Whoever mentions a kind's type may have all of
// its methods called.
func (c *code) reach(start ast.Node) map[string]bool {
	reached, seen, todo := map[string]bool{}, map[types.Object]bool{}, []ast.Node{start}
	add := func(o types.Object) {
		if f, ok := o.(*types.Func); ok {
			o = f.Origin()
		}
		if seen[o] {
			return
		}
		seen[o] = true
		reached[nameOf(o)] = true
		if d := c.decls[o]; d != nil {
			todo = append(todo, d)
		}
		if typ, ok := o.(*types.TypeName); ok {
			if n, ok := typ.Type().(*types.Named); ok && isKind(n) {
				for m := range n.Methods() {
					if !seen[m] && c.decls[m] != nil {
						todo = append(todo, c.decls[m])
					}
				}
			}
		}
	}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		ast.Inspect(next, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if o := c.info.Uses[id]; o != nil {
					add(o)
				}
			}
			return true
		})
	}
	return reached
}

// isKind reports whether a type observes, as every kind of action does.
func isKind(n *types.Named) bool {
	for m := range n.Methods() {
		if m.Name() == "Observe" {
			return true
		}
	}
	return false
}
