"""What goes to a device beside the runtime: a folder that is opened, asked, served, installed, and put back."""
