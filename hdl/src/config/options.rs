//! What a configuration says of one device type only.
use std::any::Any;
use std::fmt;

/// The options of a device type: a value of the type that its row chose. [`EndpointConfig::options`] gives it back.
///
/// [`EndpointConfig::options`]: super::EndpointConfig::options
pub struct Options(Box<dyn Value>);

trait Value: Any + fmt::Debug + Send + Sync {
    fn copy(&self) -> Box<dyn Value>;
    fn is_same(&self, other: &dyn Any) -> bool;
    fn any(&self) -> &dyn Any;
    fn any_mut(&mut self) -> &mut dyn Any;
}

impl<T: Any + Clone + fmt::Debug + Eq + Send + Sync> Value for T {
    fn copy(&self) -> Box<dyn Value> {
        Box::new(self.clone())
    }
    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>() == Some(self)
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Options {
    /// Options of a device type.
    pub fn new<T: Any + Clone + fmt::Debug + Eq + Send + Sync>(options: T) -> Self {
        Options(Box::new(options))
    }

    pub(super) fn get<T: Any>(&self) -> Option<&T> {
        (*self.0).any().downcast_ref()
    }

    pub(super) fn get_mut<T: Any>(&mut self) -> Option<&mut T> {
        (*self.0).any_mut().downcast_mut()
    }
}

impl Clone for Options {
    fn clone(&self) -> Self {
        Options((*self.0).copy())
    }
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        (*self.0).is_same((*other.0).any())
    }
}

impl Eq for Options {}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
