"""The building blocks of pages: components, formats, forms, live cells, charts."""
