"""What every page is built of: components, formats, forms, live cells, charts."""
