"""How to ask other systems: kit/ holds what they share, systems/ one module per kind of ERP."""
