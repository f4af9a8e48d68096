"""What systems share: a guarded HTTP session, exact JSON and XML, OData V2, XML gateways, pages, errors."""
