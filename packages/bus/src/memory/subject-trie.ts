/** Which subscriptions a subject reaches, without comparing it with all of them. */
interface TrieNode<T> {
  readonly children: Map<string, TrieNode<T>>;
  /** Filters that end here. */
  readonly here: Set<T>;
  /** Filters that end here with `>`: they take one token more, or many. */
  readonly rest: Set<T>;
}

function makeNode<T>(): TrieNode<T> {
  return { children: new Map(), here: new Set(), rest: new Set() };
}

export class SubjectTrie<T> {
  private readonly root: TrieNode<T> = makeNode();

  add(filter: string, item: T): void {
    const { node, isRest } = this.walk(filter);
    (isRest ? node.rest : node.here).add(item);
  }

  delete(filter: string, item: T): void {
    const tokens = filter.split(".");
    const isRest = tokens.at(-1) === ">";
    if (isRest) tokens.pop();
    const path: TrieNode<T>[] = [this.root];
    for (const token of tokens) {
      const next = path.at(-1)?.children.get(token);
      if (next === undefined) return;
      path.push(next);
    }
    const end = path.at(-1) ?? this.root;
    (isRest ? end.rest : end.here).delete(item);
    // Branches that hold nothing are cut: a subject per actor would pile up otherwise.
    for (let depth = tokens.length; depth > 0; depth -= 1) {
      const node = path[depth] ?? this.root;
      if (node.children.size > 0 || node.here.size > 0 || node.rest.size > 0) return;
      path[depth - 1]?.children.delete(tokens[depth - 1] ?? "");
    }
  }

  /** In no particular order. */
  matches(subject: string): T[] {
    const tokens = subject.split(".");
    const found: T[] = [];
    const visit = (node: TrieNode<T>, depth: number): void => {
      const token = tokens[depth];
      if (token === undefined) {
        found.push(...node.here);
        return;
      }
      found.push(...node.rest);
      const exact = node.children.get(token);
      if (exact !== undefined) visit(exact, depth + 1);
      const any = node.children.get("*");
      if (any !== undefined) visit(any, depth + 1);
    };
    visit(this.root, 0);
    return found;
  }

  private walk(filter: string): { node: TrieNode<T>; isRest: boolean } {
    const tokens = filter.split(".");
    const isRest = tokens.at(-1) === ">";
    if (isRest) tokens.pop();
    let node = this.root;
    for (const token of tokens) {
      let next = node.children.get(token);
      if (next === undefined) {
        next = makeNode();
        node.children.set(token, next);
      }
      node = next;
    }
    return { node, isRest };
  }
}
