"""What systems share: a guarded HTTP session, exact JSON, OData V2, pages, bookmarks and errors."""
